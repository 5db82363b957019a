// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

func acceptContext(t *testing.T, b Backend) {
	l := listen(t, b, transport.ListenConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := l.AcceptConn(ctx); ended <- err }()
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := within(t, "AcceptConn with a cancelled context", ended); fault.KindOf(err) != fault.Canceled {
		t.Fatalf("AcceptConn: %v, want cancelled", err)
	}
	pingPong(t, b, l) // and it goes on
}

func closeUnblocksAccept(t *testing.T, b Backend) {
	l := listen(t, b, transport.ListenConfig{})
	ended := make(chan error, 2)
	go func() { _, err := l.Accept(); ended <- err }()
	go func() { _, err := l.AcceptConn(context.Background()); ended <- err }()
	closeNow(t, l)
	closeNow(t, l)
	for range 2 {
		if err := within(t, "Accept on a closed listener", ended); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept ended by Close: %v, want net.ErrClosed", err)
		}
	}
	if c, err := l.Accept(); c != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close = %v, %v, want nil, net.ErrClosed", c, err)
	}
}

// listenAgain: Close gives the name up.
func listenAgain(t *testing.T, b Backend) {
	addr := b.Address(t)
	for range 3 {
		l := listenOn(t, b, addr, transport.ListenConfig{})
		addr = l.Address().String()
		pingPong(t, b, l)
		closeNow(t, l)
	}
}

func listenerLeavesConns(t *testing.T, b Backend) {
	l := listen(t, b, transport.ListenConfig{})
	d, a := connect(t, b, l)
	closeNow(t, l)
	echo(t, d, a)
}

func inUse(t *testing.T, b Backend) {
	l := listen(t, b, transport.ListenConfig{})
	if l2, err := b.Listen(t.Context(), l.Address().String(), transport.ListenConfig{}); !errors.Is(err, fault.InUse) {
		if err == nil {
			_ = l2.Close()
		}
		t.Errorf("listening on a live name: %v, want %v", err, fault.InUse)
	}
	pingPong(t, b, l) // the first has not suffered
}

func dialNobody(t *testing.T, b Backend) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	l := listen(t, b, transport.ListenConfig{})
	addr := l.Address().String()
	closeNow(t, l)
	c, err := b.Dial(ctx, addr, transport.DialConfig{HandshakeTimeout: limit})
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, fault.Unavailable) || ctx.Err() != nil {
		t.Errorf("dialling nobody: %v, want %v at once", err, fault.Unavailable)
	}
}

func dialCancelled(t *testing.T, b Backend) {
	l := listen(t, b, transport.ListenConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := b.Dial(ctx, l.Address().String(), transport.DialConfig{})
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, fault.Canceled) {
		t.Errorf("dialling with a cancelled context: %v, want %v", err, fault.Canceled)
	}
	pingPong(t, b, l)
}

func sequential(t *testing.T, b Backend) {
	l := listen(t, b, transport.ListenConfig{})
	for range 30 {
		pingPong(t, b, l)
	}
}

// concurrent has clients come, talk and go at the same time.
func concurrent(t *testing.T, b Backend) {
	const clients, rounds = 16, 8
	l := listen(t, b, transport.ListenConfig{})
	var serving, dialing sync.WaitGroup
	serving.Go(func() { _ = serve(context.Background(), l, echoVerb) })
	for i := range clients {
		dialing.Go(func() {
			for r := range rounds {
				if err := clientEcho(t.Context(), b, l.Address().String(), uint64(i*rounds+r)); err != nil {
					t.Errorf("client %d, round %d: %v", i, r, err)
				}
			}
		})
	}
	dialing.Wait()
	closeNow(t, l)
	serving.Wait()
}

// clientEcho dials an echo, sends a little noise and wants it back.
func clientEcho(ctx context.Context, b Backend, addr string, seed uint64) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := b.Dial(ctx, addr, transport.DialConfig{HandshakeTimeout: limit})
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(limit))
	p := noise(seed, 3000)
	return exchange(c, p, p)
}

// pingPong proves that l serves a client, and hangs up.
func pingPong(t testing.TB, b Backend, l transport.Listener) {
	t.Helper()
	d, a := connect(t, b, l)
	bound(t, d, a)
	echo(t, d, a)
	closeNow(t, d)
	closeNow(t, a)
}

// echo sends a little both ways.
func echo(t testing.TB, d, a transport.Conn) {
	t.Helper()
	send(t, d, "ping")
	receive(t, a, "ping")
	send(t, a, "pong")
	receive(t, d, "pong")
}
