// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

// named is a connection whose first byte says who the peer is; after that one
// called 's' stays silent in its handshake.
func named(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
	p := make([]byte, 1)
	if _, err := io.ReadFull(raw, p); err != nil {
		return nil, err
	}
	if err := authorize(auth.Identity{Method: auth.TLS, Name: "dns:" + string(p)}); err != nil {
		return nil, err
	}
	if p[0] == 's' {
		if _, err := raw.Read(p); err != nil {
			return nil, err
		}
	}
	return pipeConn{raw}, nil
}

var everybody = auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error { return nil })

func say(t *testing.T, c net.Conn, who string) net.Conn {
	t.Helper()
	if _, err := c.Write([]byte(who)); err != nil {
		t.Fatal(err)
	}
	return c
}

// An admitted peer that opens connections and says nothing more on them keeps
// nobody but itself waiting.
func TestSilentPeerKeepsOnlyItselfWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Config{ListenConfig: transport.ListenConfig{MaxPending: 2, Authorizer: everybody}, Handshake: named})
		var silent []net.Conn
		for range 2 * (1 + lineFactor) {
			silent = append(silent, say(t, f.connect(), "s"))
		}
		began := time.Now()
		other := say(t, f.connect(), "o")
		c, err := f.AcceptConn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("another peer waited %v of synctest's clock", took)
		}
		tooMany := say(t, f.connect(), "s")
		if _, err := tooMany.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one more than its line holds reads %v, want io.EOF", err)
		}
		for _, c := range append(silent, other, c, tooMany) {
			_ = c.Close()
		}
		_ = f.Close()
		if n := f.turns.Peers(); n != 0 {
			t.Errorf("%d peers are still counted after Close", n)
		}
	})
}

// Standing in line because nobody calls AcceptConn is not the peer's fault: it
// has all its time once it is its turn.
func TestLineIsNotTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Config{ListenConfig: transport.ListenConfig{MaxPending: 1, Authorizer: everybody}, Handshake: named})
		first, second := say(t, f.connect(), "o"), say(t, f.connect(), "o")
		time.Sleep(10 * transport.DefaultHandshakeTimeout) // synctest's clock
		for range 2 {
			c, err := f.AcceptConn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
		_, _ = first.Close(), second.Close()
	})
}

// remoteConn pretends to come from another machine.
type remoteConn struct {
	net.Conn
	from net.IP
}

func (c remoteConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: c.from, Port: 1} }

func TestOneMachineCannotTakeEverySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Config{ListenConfig: transport.ListenConfig{MaxPending: 4, Authorizer: everybody}, Handshake: named})
		from := func(ip string) net.Conn {
			ours, theirs := net.Pipe()
			f.raw.conns <- remoteConn{theirs, net.ParseIP(ip)}
			return ours
		}
		var mute []net.Conn
		for range 10 { // two in slots, eight in line
			mute = append(mute, from("192.0.2.1"))
		}
		began := time.Now()
		other := say(t, from("192.0.2.2"), "o")
		c, err := f.AcceptConn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("another machine waited %v of synctest's clock", took)
		}
		for _, c := range append(mute, other, c) {
			_ = c.Close()
		}
		_ = f.Close()
		if n := f.hosts.Peers(); n != 0 {
			t.Errorf("%d machines are still counted after Close", n)
		}
	})
}

func TestRemoteHost(t *testing.T) {
	for ip, want := range map[string]string{"127.0.0.1": "", "::1": "", "192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::1"} {
		if got := remoteHost(remoteConn{from: net.ParseIP(ip)}); got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
	pipe, other := net.Pipe()
	if got := remoteHost(pipe); got != "" {
		t.Errorf("a pipe comes from %q", got)
	}
	_, _ = pipe.Close(), other.Close()
}
