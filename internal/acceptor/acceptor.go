// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/turns"
	"github.com/parley-ipc/parley/transport"
)

// refuseTime is how long a denied peer may take to read our last word.
const refuseTime = time.Second

// lineFactor is how many connections of one peer may stand in line for each
// place that it has.
const lineFactor = 8

// Handshake makes a connection of a raw one. It calls authorize once, as soon
// as it knows who the peer is and before it gives the peer anything; ctx ends
// with the time limit, and so do reads and writes of raw. If authorize denied and the
// backend has a connection on which Refuse can speak, Handshake returns both
// the connection and the error. It need not close raw: the acceptor does on
// any error.
type Handshake func(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error)

// Config says what to accept and how. All fields but Release are required.
type Config struct {
	transport.ListenConfig                    // defaults are filled in by New
	Raw                    net.Listener       // owned by the acceptor from New on
	Address                endpoint.Address   // what a peer dials
	Counters               *endpoint.Counters // never nil
	Handshake              Handshake
	Release                func() error // called once after Raw is closed; may be nil
}

// Acceptor is a transport.Listener over a raw one. The goroutine that accepts
// and those that shake hands are owned by it: Close waits for them.
type Acceptor struct {
	cfg   Config
	auth  auth.Authorizer
	ctx   context.Context // ends at Close
	stop  context.CancelFunc
	slots chan struct{} // one token per connection whose peer is not yet admitted
	turns *turns.Turns  // of those that are, by identity
	hosts *turns.Turns  // of those that are not, by the machine they come from
	words chan struct{} // one token per last word being said: at most half the slots
	ready chan passed   // not yet taken
	fails Limit
	wg    sync.WaitGroup

	closeOnce sync.Once
	closeErr  error
}

var _ transport.Listener = (*Acceptor)(nil)

// New starts accepting.
func New(cfg Config) *Acceptor {
	cfg.ListenConfig = cfg.WithDefaults()
	hosts := max(1, cfg.MaxPending/2)
	a := &Acceptor{
		cfg:   cfg,
		auth:  auth.LogDenials(cfg.Authorizer, cfg.Logger),
		slots: make(chan struct{}, cfg.MaxPending),
		words: make(chan struct{}, max(1, cfg.MaxPending/2)),
		turns: turns.New(cfg.MaxPending, lineFactor*cfg.MaxPending),
		hosts: turns.New(hosts, lineFactor*hosts),
		ready: make(chan passed),
	}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.wg.Go(a.acceptLoop)
	return a
}

// Accept implements net.Listener.
func (a *Acceptor) Accept() (net.Conn, error) {
	c, err := a.AcceptConn(context.Background())
	if err != nil {
		return nil, err // not c: a nil Conn in a net.Conn is not nil
	}
	return c, nil
}

// AcceptConn implements transport.Listener.
func (a *Acceptor) AcceptConn(ctx context.Context) (transport.Conn, error) {
	if a.ctx.Err() != nil {
		return nil, a.closedError()
	}
	select {
	case p := <-a.ready:
		p.turn.Leave()
		return p.conn, nil
	case <-ctx.Done():
		return nil, fault.Wrap("accept", a.cfg.Address.String(), context.Cause(ctx))
	case <-a.ctx.Done():
		return nil, a.closedError()
	}
}

func (a *Acceptor) closedError() error {
	return fault.New(fault.Closed, "accept", a.cfg.Address.String(), nil)
}

// Addr implements net.Listener with the raw listener's address.
func (a *Acceptor) Addr() net.Addr { return a.cfg.Raw.Addr() }

// Address implements transport.Listener.
func (a *Acceptor) Address() endpoint.Address { return a.cfg.Address }

// Counters are the listener's statistics, never nil.
func (a *Acceptor) Counters() *endpoint.Counters { return a.cfg.Counters }

// Close stops accepting, ends handshakes under way, closes connections that
// nobody has taken, and waits for all of it. It is idempotent.
func (a *Acceptor) Close() error {
	a.closeOnce.Do(func() {
		a.stop()
		a.closeErr = a.cfg.Raw.Close()
		a.wg.Wait()
		if a.cfg.Release != nil {
			a.closeErr = errors.Join(a.closeErr, a.cfg.Release())
		}
	})
	return a.closeErr
}

func (a *Acceptor) acceptLoop() {
	var backoff time.Duration
	for {
		select {
		case a.slots <- struct{}{}:
		case <-a.ctx.Done():
			return
		}
		raw, err := a.cfg.Raw.Accept()
		if err == nil {
			backoff = 0
			a.wg.Go(func() { a.handle(raw) })
			continue
		}
		<-a.slots
		if a.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
		a.logAcceptError(err, backoff)
		select {
		case <-time.After(backoff):
		case <-a.ctx.Done():
			return
		}
	}
}

func (a *Acceptor) logAcceptError(err error, backoff time.Duration) {
	hint := ""
	if fault.KindOf(err) == fault.Exhausted {
		hint = "the descriptor table is full: raise `ulimit -n` or close connections"
	}
	a.cfg.Logger.Warn("accept failed, trying again", "address", a.cfg.Address.String(), "error", err, "after", backoff, "hint", hint)
}

// lastWord tells c that it was denied, unless so many are being told that
// those whom policy admits would find no slot.
func (a *Acceptor) lastWord(c transport.Conn) {
	select {
	case a.words <- struct{}{}:
		defer func() { <-a.words }()
	default:
		return
	}
	if c.SetDeadline(time.Now().Add(refuseTime)) == nil {
		a.cfg.Refuse(c)
	}
}
