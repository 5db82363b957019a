// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/transport"
)

// Listen claims a fifo:// address and makes its pipes, mode 0600. It accepts
// one peer at a time: the next once Close has been called on the connection.
func Listen(ctx context.Context, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	claim, err := endpoint.Acquire(ctx, addr)
	if err != nil {
		return nil, err
	}
	l := &listener{addr: addr, stem: claim.Path(), counters: claim.Counters(), room: make(chan struct{}, 1)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.room <- struct{}{}
	if l.pair, err = publish(l.stem); err != nil {
		return nil, errors.Join(fault.Wrap("listen", addr.String(), err), claim.Close())
	}
	return acceptor.New(acceptor.Config{
		ListenConfig: cfg,
		Raw:          l,
		Address:      addr,
		Counters:     l.counters,
		Release:      claim.Close, // removes the names
		Handshake:    l.handshake(cfg.Refuse != nil),
	}), nil
}

// listener is the raw one below the acceptor. States of its pair:
//
//	published ──a peer opened c2s──▶ spent ──its connection was closed──▶ none ──Accept──▶ published
type listener struct {
	addr     endpoint.Address
	stem     string
	counters *endpoint.Counters
	ctx      context.Context // ends at Close
	stop     context.CancelFunc
	room     chan struct{} // a token while no connection is open

	mu   sync.Mutex
	pair *pair // published, nobody has come yet; nil between peers. Guarded by mu
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr.Addr() }

// Accept waits until the connection before has been closed, publishes a new
// pair and waits until a peer comes.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.room:
	case <-l.ctx.Done():
		return nil, l.closed()
	}
	c, err := l.accept()
	if err != nil {
		l.room <- struct{}{}
		if l.ctx.Err() != nil {
			err = l.closed()
		}
		return nil, err
	}
	return c, nil
}

func (l *listener) closed() error {
	return fault.New(fault.Closed, "accept", l.addr.String(), nil)
}

func (l *listener) accept() (*rawConn, error) {
	p, err := l.current()
	if err != nil {
		return nil, err
	}
	first, err := p.awaitPeer(l.ctx)
	if err == nil {
		err = p.spend()
	}
	l.mu.Lock()
	l.pair = nil
	l.mu.Unlock()
	if err != nil {
		p.abandon()
		return nil, err
	}
	c := &Conn{addr: l.addr, peer: identify(p.s2c), r: p.r, renew: l.renew, release: func() { l.room <- struct{}{} }}
	c.first.bytes = first
	return &rawConn{Conn: c, pair: p}, nil
}

// current returns the published pair, or publishes one.
func (l *listener) current() (*pair, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		if l.pair != nil {
			l.pair.abandon()
			l.pair = nil
		}
		return nil, l.closed()
	}
	if l.pair != nil {
		return l.pair, nil
	}
	var err error
	l.pair, err = publish(l.stem)
	return l.pair, err
}

// renew publishes the next pair. A connection calls it before it lets go of
// its own, so that whoever waits for room never sees pipes with a name and no
// reader: those mean that the listener has died. If it fails, Accept tries
// again, and tells.
func (l *listener) renew() { _, _ = l.current() }

// Close ends Accept. The names go with the claim.
func (l *listener) Close() error {
	l.stop()
	select {
	case <-l.room: // nobody is in accept
		_, _ = l.current()
	default: // accept lets go of the pair, or a connection is open and there is none
	}
	return nil
}

// rawConn is a connection whose writing end is not open yet.
type rawConn struct {
	*Conn
	pair *pair
}

// Close implements net.Conn.
func (c *rawConn) Close() error {
	c.pair.close()
	return c.Conn.Close()
}

// SetDeadline does nothing: the handshake waits with its context.
func (c *rawConn) SetDeadline(time.Time) error { return nil }

// handshake asks policy, then opens s2c, which is what the dialler waits for.
// A denied one gets that far only if there is a last word for it.
func (l *listener) handshake(refuses bool) acceptor.Handshake {
	return func(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
		rc, ok := raw.(*rawConn)
		if !ok {
			return nil, errors.New("not a fifo's")
		}
		denied := authorize(rc.peer)
		if denied != nil && !refuses {
			return nil, denied
		}
		w, err := rc.pair.openWriter(ctx)
		if err != nil {
			return nil, errors.Join(denied, err)
		}
		rc.pair.close()
		rc.w = w
		if denied == nil {
			rc.counters = l.counters
		}
		return rc.Conn, denied
	}
}
