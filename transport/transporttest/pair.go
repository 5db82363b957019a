// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/parley-ipc/parley/transport"
)

// listen listens on a fresh address until the test ends.
func listen(t testing.TB, b Backend, cfg transport.ListenConfig) transport.Listener {
	t.Helper()
	return listenOn(t, b, b.Address(t), cfg)
}

func listenOn(t testing.TB, b Backend, addr string, cfg transport.ListenConfig) transport.Listener {
	t.Helper()
	l, err := b.Listen(t.Context(), addr, cfg)
	if err != nil {
		t.Fatalf("listen %s: %v", addr, err)
	}
	t.Cleanup(func() { closeNow(t, l) })
	return l
}

func closeNow(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// connect dials l and returns both ends, which are closed when the test
// ends.
func connect(t testing.TB, b Backend, l transport.Listener) (dialer, listener transport.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	type result struct {
		c   transport.Conn
		err error
	}
	dialed := make(chan result, 1)
	go func() {
		c, err := b.Dial(ctx, l.Address().String(), transport.DialConfig{})
		dialed <- result{c, err}
	}()
	listener, acceptErr := l.AcceptConn(ctx)
	d := <-dialed
	if d.err != nil || acceptErr != nil {
		t.Fatalf("connect %s: dial: %v, accept: %v", l.Address(), d.err, acceptErr)
	}
	t.Cleanup(func() { _ = d.c.Close(); _ = listener.Close() })
	return d.c, listener
}

// pair makes a connection within the process.
func pair(t testing.TB, b Backend) (dialer, listener transport.Conn) {
	t.Helper()
	if b.Pair != nil {
		dialer, listener = b.Pair(t)
		t.Cleanup(func() { _ = dialer.Close(); _ = listener.Close() })
	} else {
		dialer, listener = connect(t, b, listen(t, b, transport.ListenConfig{}))
	}
	bound(t, dialer, listener)
	watch(t, dialer, listener)
	return dialer, listener
}

// watch closes conns if the check is still at it at twice the limit: a
// backend that is broken may keep no deadline.
func watch(t testing.TB, conns ...net.Conn) {
	t.Helper()
	fired := make(chan struct{})
	timer := time.AfterFunc(2*limit, func() {
		defer close(fired)
		t.Errorf("not within %v: hanging up, so that the check ends", 2*limit)
		for _, c := range conns {
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		if !timer.Stop() {
			<-fired
		}
	})
}

// bound gives conns a deadline, so that a check that would hang fails.
func bound(t testing.TB, conns ...net.Conn) {
	t.Helper()
	for _, c := range conns {
		if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
			t.Fatalf("SetDeadline: %v", err)
		}
	}
}

// bothWays runs f with each side of a fresh pair as the near one.
func bothWays(t *testing.T, b Backend, f func(t *testing.T, near, far transport.Conn)) {
	t.Run("dialer", func(t *testing.T) {
		near, far := pair(t, b)
		f(t, near, far)
	})
	t.Run("listener", func(t *testing.T) {
		far, near := pair(t, b)
		f(t, near, far)
	})
}

func netConn(t *testing.T, b Backend) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		if b.Pair != nil {
			d, l := b.Pair(t)
			return d, l, func() { _ = d.Close(); _ = l.Close() }, nil
		}
		l, err := b.Listen(context.Background(), b.Address(t), transport.ListenConfig{})
		if err != nil {
			return nil, nil, nil, err
		}
		d, a := connect(t, b, l)
		return d, a, func() { _ = d.Close(); _ = a.Close(); _ = l.Close() }, nil
	})
}
