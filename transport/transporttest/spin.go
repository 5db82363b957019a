// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"net"

	"github.com/parley-ipc/parley/transport"
)

// Spinning returns b with connections that poll their sockets as spin says,
// under another name. They must be transport.Spinners.
func Spinning(b Backend, spin transport.Spin) Backend {
	listen, dial := b.Listen, b.Dial
	b.Name += "-spinning"
	b.NoCounters = true // spinListener hides them
	b.Listen = func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
		l, err := listen(ctx, addr, cfg)
		if err != nil {
			return nil, err
		}
		return &spinListener{Listener: l, spin: spin}, nil
	}
	b.Dial = func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
		c, err := dial(ctx, addr, cfg)
		if err == nil {
			c.(transport.Spinner).SetSpin(spin)
		}
		return c, err
	}
	return b
}

type spinListener struct {
	transport.Listener
	spin transport.Spin
}

func (l *spinListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		c.(transport.Spinner).SetSpin(l.spin)
	}
	return c, err
}

func (l *spinListener) AcceptConn(ctx context.Context) (transport.Conn, error) {
	c, err := l.Listener.AcceptConn(ctx)
	if err == nil {
		c.(transport.Spinner).SetSpin(l.spin)
	}
	return c, err
}
