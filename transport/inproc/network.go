// SPDX-License-Identifier: Apache-2.0

package inproc

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/transport"
)

// Network is a set of names. Its zero value is empty and ready for use.
type Network struct {
	mu    sync.Mutex
	names map[string]*listener // guarded by mu
}

// process is the one piece of global state that this transport cannot do
// without: an address string must mean the same listener everywhere in the
// process, as a path does for a unix socket. A test that wants its own names
// makes its own Network.
var process Network

// Listen listens on an inproc:// address of this process.
func Listen(ctx context.Context, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	return process.Listen(ctx, addr, cfg)
}

// Dial connects to an inproc:// address of this process.
func Dial(ctx context.Context, addr endpoint.Address, cfg transport.DialConfig) (*Conn, error) {
	return process.Dial(ctx, addr, cfg)
}

// Listen listens on an address of n. A name that is listened on is
// fault.InUse.
func (n *Network) Listen(ctx context.Context, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	if ctx.Err() != nil {
		return nil, fault.Wrap("listen", addr.String(), context.Cause(ctx))
	}
	l := &listener{network: n, addr: addr, queue: make(chan *Conn, backlog), closed: make(chan struct{})}
	if !n.add(l) {
		return nil, fault.New(fault.InUse, "listen", addr.String(), errors.New("this process listens on it already"))
	}
	counters := new(endpoint.Counters)
	return acceptor.New(acceptor.Config{
		ListenConfig: cfg,
		Raw:          l,
		Address:      addr,
		Counters:     counters,
		Handshake: func(_ context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			c, ok := raw.(*Conn)
			if !ok {
				return nil, errors.New("not an inproc connection")
			}
			if err := authorize(c.peer); err != nil {
				return c, err
			}
			c.counters = counters
			return c, nil
		},
	}), nil
}

// Dial connects to an address of n. Nobody there is fault.Unavailable.
func (n *Network) Dial(ctx context.Context, addr endpoint.Address, cfg transport.DialConfig) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.WithDefaults().HandshakeTimeout)
	defer cancel()
	if ctx.Err() != nil {
		return nil, fault.Wrap("dial", addr.String(), context.Cause(ctx))
	}
	l := n.find(addr.Name)
	if l == nil {
		return nil, nobody(addr)
	}
	near, far := newPair(addr)
	select {
	case l.queue <- far:
	case <-l.closed:
		return nil, nobody(addr)
	case <-ctx.Done():
		return nil, fault.Wrap("dial", addr.String(), context.Cause(ctx))
	}
	select {
	case <-l.closed: // it may have emptied its queue before ours came in
		_ = near.Close()
		return nil, nobody(addr)
	default:
		return near, nil
	}
}

func nobody(addr endpoint.Address) error {
	return fault.New(fault.Unavailable, "dial", addr.String(), errors.New("nobody listens on it in this process")).
		WithHint("inproc:// reaches this process only; another one needs unix:// or shm://")
}

func (n *Network) add(l *listener) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names[l.addr.Name] != nil {
		return false
	}
	if n.names == nil {
		n.names = map[string]*listener{}
	}
	n.names[l.addr.Name] = l
	return true
}

func (n *Network) find(name string) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names[name]
}

func (n *Network) remove(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names[l.addr.Name] == l {
		delete(n.names, l.addr.Name)
	}
}
