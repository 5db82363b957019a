// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"cmp"
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/parley-ipc/parley/internal/unixconn"
)

// sockets returns the two ends of a connected unix socket.
func sockets(t testing.TB) (client, server *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// pair returns the two ends of a connection within this process. Traffic is
// worth rings however slowly it comes, unless the options say something else.
func pair(t testing.TB, client, server Options) (c, s *Conn) {
	t.Helper()
	client.within, server.within = cmp.Or(client.within, time.Hour), cmp.Or(server.within, time.Hour)
	a, b := sockets(t)
	id, err := unixconn.PeerIdentity(b)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		var err error
		s, err = NewConn(context.Background(), b, id, true, DialConfig{Options: server})
		done <- err
	}()
	c, err = NewConn(context.Background(), a, id, false, DialConfig{Options: client})
	if err != nil {
		t.Fatal("client: ", err)
	}
	if err := <-done; err != nil {
		t.Fatal("server: ", err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = s.Close() })
	return c, s
}

func TestConn(t *testing.T) {
	for name, opts := range map[string]Options{
		"Lazy":   {},
		"Auto":   {Attach: AtOnce},
		"Off":    {Attach: AtOnce, Spin: Off},
		"Always": {Attach: AtOnce, Spin: Always},
		"Socket": {Attach: AtOnce, Budget: &Budget{Max: 1}},
		"Never":  {Attach: Never},
		"Edge32": {Attach: AtOnce, RingSize: MinRingSize, start: 1<<32 - 100},
		"Edge64": {Attach: AtOnce, RingSize: MinRingSize, start: 1<<64 - 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b := pair(t, opts, opts)
				if want := opts.Attach == AtOnce && opts.Budget == nil; a.Rings() != want || b.Rings() != want {
					t.Errorf("rings: %v and %v, not %v", a.Rings(), b.Rings(), want)
				}
				return a, b, func() { _ = a.Close(); _ = b.Close() }, nil
			})
		})
	}
}
