// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

func TestMain(m *testing.M) {
	proctest.RunRole(roles)
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// plain makes a transport.Conn of a net.Conn, with no extras.
type plain struct{ net.Conn }

var _ transport.Conn = plain{}

func (plain) Peer() auth.Identity { return auth.Identity{Method: auth.None} }

func (p plain) CloseWrite() error {
	if c, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// sockets returns both ends of a unix stream connection.
func sockets(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if a, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

// pair returns two Conns that talk to each other.
func pair(t testing.TB, cfg Config) (a, b *Conn) {
	t.Helper()
	x, y := sockets(t)
	return conn(t, plain{x}, cfg), conn(t, plain{y}, cfg)
}

func conn(t testing.TB, c transport.Conn, cfg Config) *Conn {
	t.Helper()
	m := NewConn(c, cfg)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// background bounds a test's waits.
func background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func send(t testing.TB, c *Conn, p string) {
	t.Helper()
	if err := c.Send(background(t), []byte(p)); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, c *Conn) string {
	t.Helper()
	m, err := c.Receive(background(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	return string(m.Bytes())
}

func wantReceive(t testing.TB, c *Conn, want string) {
	t.Helper()
	if got := receive(t, c); got != want {
		t.Fatalf("received %.40q, want %.40q", got, want)
	}
}

func wantErr(t testing.TB, err error, kinds ...error) {
	t.Helper()
	for _, k := range kinds {
		if !errors.Is(err, k) {
			t.Fatalf("error %v, want one that is %v", err, k)
		}
	}
}

// receiveErr expects that nothing more is received.
func receiveErr(t testing.TB, c *Conn) error {
	t.Helper()
	m, err := c.Receive(background(t))
	if err == nil {
		t.Fatalf("received %.40q, want an error", m.Bytes())
	}
	return err
}
