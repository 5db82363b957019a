// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// refuseTime is how long a denied peer may take to read our last word.
const refuseTime = time.Second

// ListenStdio is Stdio as a listener, for servers: it accepts the one
// connection there is. A second Accept waits until that connection has been
// closed and then says net.ErrClosed, so that http.Serve ends. If policy
// denies whoever is on the other side, ListenStdio itself is fault.Denied.
func ListenStdio(ctx context.Context, addr endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
	cfg = cfg.WithDefaults()
	c, err := Stdio(ctx, transport.DialConfig{HandshakeTimeout: cfg.HandshakeTimeout, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	policy := auth.LogDenials(cfg.Authorizer, cfg.Logger)
	if err := policy.Authorize(ctx, c.Peer(), auth.Connect, addr.Resource()); err != nil {
		if cfg.Refuse != nil && c.SetDeadline(time.Now().Add(refuseTime)) == nil {
			cfg.Refuse(c)
		}
		_ = c.Close()
		return nil, fault.Wrap("listen", addr.String(), err)
	}
	ln := &stdioListener{addr: addr, conn: c.(*stdioConn), next: make(chan transport.Conn, 1), closed: make(chan struct{})}
	ln.next <- c
	return ln, nil
}

type stdioListener struct {
	addr endpoint.Address
	conn *stdioConn
	next chan transport.Conn // holds the connection until it is accepted

	once   sync.Once
	closed chan struct{}
}

var _ transport.Listener = (*stdioListener)(nil)

// Accept implements net.Listener.
func (l *stdioListener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn(context.Background())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn implements transport.Listener.
func (l *stdioListener) AcceptConn(ctx context.Context) (transport.Conn, error) {
	select {
	case <-l.closed:
		return nil, fault.New(fault.Closed, "accept", l.addr.String(), nil)
	default:
	}
	select {
	case c := <-l.next:
		return c, nil
	case <-ctx.Done():
		return nil, fault.Wrap("accept", l.addr.String(), context.Cause(ctx))
	case <-l.closed:
	case <-l.conn.closed:
	}
	return nil, fault.New(fault.Closed, "accept", l.addr.String(), nil)
}

// Close implements net.Listener. A connection that nobody accepted is closed
// too; an accepted one goes on.
func (l *stdioListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		select {
		case c := <-l.next:
			_ = c.Close()
		default:
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *stdioListener) Addr() net.Addr { return l.addr.Addr() }

// Address implements transport.Listener.
func (l *stdioListener) Address() endpoint.Address { return l.addr }
