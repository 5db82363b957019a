// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
)

// link is a connection to another process.
type link struct {
	near transport.Conn
	kill func()
	addr string // of the listener, whichever side it is on
}

// side is one way of having a peer in another process. Each opens a link to
// a child that does the verb; addr is where to listen, or "" for anywhere.
type side struct {
	name string
	open func(t *testing.T, b Backend, addr, verb string) *link

	childListens bool
}

// sides are the ways that b has.
func sides(b Backend) []side {
	if b.spawns() {
		return []side{{name: "ChildSpawned", open: childSpawned}}
	}
	return []side{
		{name: "ChildListens", open: childListens, childListens: true},
		{name: "ChildDials", open: childDials},
	}
}

func start(t *testing.T, b Backend, role string, args ...string) *proctest.Process {
	t.Helper()
	return proctest.StartWith(t, proctest.Options{Role: b.role(role), Args: args, Env: b.ChildEnv})
}

func childListens(t *testing.T, b Backend, addr, verb string) *link {
	t.Helper()
	if addr == "" {
		addr = b.Address(t)
	}
	child := start(t, b, "listen", addr, verb)
	l := &link{kill: child.Kill, addr: child.Hear()}
	l.near = dialTo(t, b, l.addr)
	return l
}

func dialTo(t *testing.T, b Backend, addr string) transport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := b.Dial(ctx, addr, transport.DialConfig{HandshakeTimeout: limit})
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func childDials(t *testing.T, b Backend, addr, verb string) *link {
	t.Helper()
	if addr == "" {
		addr = b.Address(t)
	}
	listener := listenOn(t, b, addr, transport.ListenConfig{HandshakeTimeout: limit})
	addr = listener.Address().String()
	child := start(t, b, "dial", addr, verb)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := listener.AcceptConn(ctx)
	if err != nil {
		t.Fatalf("accept %s: %v", addr, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &link{near: c, kill: child.Kill, addr: addr}
}

func childSpawned(t *testing.T, b Backend, _, verb string) *link {
	t.Helper()
	l := &link{near: dialTo(t, b, b.Spawned(t, b.role("stdio"), verb))}
	l.kill = func() {
		if p, err := os.FindProcess(l.near.Peer().PID); err != nil || p.Kill() != nil {
			t.Errorf("cannot kill the child, pid %d", l.near.Peer().PID)
		}
	}
	return l
}

// far is one property of a connection to another process.
type far struct {
	name, verb string
	run        func(t *testing.T, b Backend, s side, l *link)
	applies    func(b Backend) bool
}

var fars = []far{
	{"Bytes", "echo", farBytes, nil},
	{"HalfClose", "half", farHalfClose, nil},
	{"Identity", "identity", farIdentity, nil},
	{"Files", "files", farFiles, func(b Backend) bool { return b.Files }},
}

// twoProcesses runs the properties with a peer in another process, on either
// side.
func twoProcesses(t *testing.T, b Backend) {
	for _, s := range sides(b) {
		for _, f := range fars {
			if f.applies != nil && !f.applies(b) {
				continue
			}
			t.Run(s.name+"/"+f.name, func(t *testing.T) {
				l := s.open(t, b, "", f.verb)
				bound(t, l.near)
				watch(t, l.near)
				f.run(t, b, s, l)
			})
		}
	}
}

func farBytes(t *testing.T, _ Backend, _ side, l *link) {
	for i, n := range sizes {
		p := noise(uint64(i), n)
		if err := exchange(l.near, p, p); err != nil {
			t.Fatalf("%d bytes there and back: %v", n, err)
		}
	}
	// Many frames under way at once fill every buffer in both directions.
	sent := make(chan error, 1)
	const frames = 400
	go func() {
		var err error
		for i := 0; i < frames && err == nil; i++ {
			err = writeFrame(l.near, noise(uint64(i), i*37))
		}
		sent <- err
	}()
	for i := range frames {
		if p, err := readFrame(l.near); err != nil || !bytes.Equal(p, noise(uint64(i), i*37)) {
			_ = l.near.Close()
			t.Fatalf("frame %d: %d bytes, %v", i, len(p), err)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func farHalfClose(t *testing.T, _ Backend, _ side, l *link) {
	p := noise(3, 2<<20)
	if _, err := l.near.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := l.near.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := readFrame(l.near)
	if err != nil || !bytes.Equal(got, p) {
		t.Fatalf("the answer after our end: %d bytes of %d, %v", len(got), len(p), err)
	}
	if n, err := io.Copy(io.Discard, l.near); n != 0 || err != nil {
		t.Fatalf("after its answer: %d bytes, %v, want the end", n, err)
	}
}

func farIdentity(t *testing.T, b Backend, s side, l *link) {
	p, err := readFrame(l.near)
	if err != nil {
		t.Fatal(err)
	}
	var theirs card
	if err := json.Unmarshal(p, &theirs); err != nil {
		t.Fatal(err)
	}
	if s.name == "ChildDials" {
		sees(t, "the listener", l.near.Peer(), b.ListenerSees, theirs.Me)
		sees(t, "the dialer (the child)", theirs.Peer, b.DialerSees, self())
		return
	}
	sees(t, "the dialer", l.near.Peer(), b.DialerSees, theirs.Me)
	sees(t, "the listener (the child)", theirs.Peer, b.ListenerSees, self())
}
