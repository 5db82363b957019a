// SPDX-License-Identifier: Apache-2.0

package tcp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tcp"
)

const limit = 20 * time.Second

// TestBeyondLoopback: plain TCP stays on the machine unless it is told.
func TestBeyondLoopback(t *testing.T) {
	for _, host := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:7000", "[2001:db8::1]:7000", "[::ffff:192.0.2.1]:7000"} {
		l, err := listen(t.Context(), "tcp://"+host, transport.ListenConfig{})
		if err == nil {
			_ = l.Close()
		}
		if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "?insecure=true") || !strings.Contains(err.Error(), "tls://") {
			t.Errorf("listen on %s: %v, want denied", host, err)
		}
	}
	for _, host := range []string{"192.0.2.1:7000", "[2001:db8::1]:7000", "[::ffff:192.0.2.1]:7000"} {
		c, err := dial(t.Context(), "tcp://"+host, transport.DialConfig{})
		if err == nil {
			_ = c.Close()
		}
		if !errors.Is(err, fault.Denied) {
			t.Errorf("dial %s: %v, want denied", host, err)
		}
	}
}

// TestInsecureWildcard: the wildcard is dialled as this machine, and a peer
// on loopback is known there too.
func TestInsecureWildcard(t *testing.T) {
	for _, host := range []string{"0.0.0.0:0", ":0"} {
		l := serve(t, "tcp://"+host+"?insecure=true")
		if !l.Address().Flag("insecure") || l.Address().Host == host {
			t.Errorf("listening on %s, want a port and the option kept", l.Address())
		}
		plain := l.Address()
		plain.Query = nil
		d, a := connect(t, plain.String(), l)
		if d.Peer().Anonymous() || a.Peer().Anonymous() {
			t.Errorf("%s: the sides see %v and %v", host, d.Peer(), a.Peer())
		}
	}
}

func TestNames(t *testing.T) {
	l := serve(t, "tcp://localhost:0")
	if !strings.HasPrefix(l.Address().Host, "localhost:") || strings.HasSuffix(l.Address().Host, ":0") {
		t.Errorf("listening on %s, want localhost and a port", l.Address())
	}
	connect(t, l.Address().String(), l)
	for addr, want := range map[string]fault.Kind{
		"tcp://127.0.0.1:none-such":    fault.Invalid,
		"tcp://127.0.0.1:65536":        fault.Invalid,
		"tcp://no-such-host.invalid:7": fault.NotFound,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		_, err := dial(ctx, addr, transport.DialConfig{HandshakeTimeout: limit})
		if !errors.Is(err, want) && !(want == fault.NotFound && errors.Is(err, fault.Unavailable)) { // no resolver here
			t.Errorf("dial %s: %v, want %v", addr, err, want)
		}
		cancel()
	}
}

// TestUsedPort: by a stranger to the registry, and by one of its members.
func TestUsedPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, err = listen(t.Context(), "tcp://"+ln.Addr().String(), transport.ListenConfig{})
	if !errors.Is(err, fault.InUse) || !strings.Contains(err.Error(), "port 0") {
		t.Errorf("a stranger's port: %v, want in use", err)
	}
	l := serve(t, "tcp://127.0.0.1:0")
	_, err = listen(t.Context(), l.Address().String(), transport.ListenConfig{})
	if who := fmt.Sprintf("pid %d ", os.Getpid()); !errors.Is(err, fault.InUse) || runtime.GOOS == "linux" && !strings.Contains(err.Error(), who) {
		t.Errorf("a member's port: %v, want in use by %s", err, who)
	}
}

func TestListenOn(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tcp.ListenOn(t.Context(), raw, address(t, "tcp://127.0.0.1:0"), transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if l.Address().Host != raw.Addr().String() {
		t.Errorf("address %s, want %s", l.Address(), raw.Addr())
	}
	connect(t, l.Address().String(), l)

	wide, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tcp.ListenOn(t.Context(), wide, address(t, "tcp://127.0.0.1:0"), transport.ListenConfig{}); !errors.Is(err, fault.Denied) {
		t.Errorf("a wildcard passed in: %v, want denied", err)
	}
	unix, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tcp.ListenOn(t.Context(), unix, address(t, "tcp://127.0.0.1:0"), transport.ListenConfig{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a unix socket passed in: %v, want invalid", err)
	}
	for _, ln := range []net.Listener{wide, unix} {
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v was left open: %v", ln.Addr(), err)
		}
	}
}

// TestCopies: whatever way the bytes take, they arrive, and are counted.
func TestCopies(t *testing.T) {
	const size = 3<<20 + 17
	data := bytes.Repeat([]byte("0123456789abcdef."), size/17+1)[:size]
	name := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	l := serve(t, "tcp://127.0.0.1:0")
	counters := l.(interface{ Counters() *endpoint.Counters }).Counters()
	out := uint64(0)
	for _, tt := range []struct {
		name string
		send func(w *tcp.Conn) (int64, error)
		size int
	}{
		{"from a file", func(w *tcp.Conn) (int64, error) {
			f, err := os.Open(name)
			if err != nil {
				return 0, err
			}
			defer func() { _ = f.Close() }()
			return io.Copy(w, f)
		}, size},
		{"a part of a file", func(w *tcp.Conn) (int64, error) {
			f, err := os.Open(name)
			if err != nil {
				return 0, err
			}
			defer func() { _ = f.Close() }()
			lr := &io.LimitedReader{R: f, N: 1 << 20}
			n, err := w.ReadFrom(lr)
			if lr.N != 0 {
				t.Errorf("LimitedReader has %d left", lr.N)
			}
			return n, err
		}, 1 << 20},
		{"nothing of a file", func(w *tcp.Conn) (int64, error) { return w.ReadFrom(&io.LimitedReader{R: os.Stdin, N: -1}) }, 0},
		{"from memory", func(w *tcp.Conn) (int64, error) { return w.ReadFrom(bytes.NewReader(data)) }, size},
		{"from a pipe", func(w *tcp.Conn) (int64, error) {
			r, pw := io.Pipe()
			go func() { _, err := pw.Write(data); _ = pw.CloseWithError(err) }()
			return w.ReadFrom(r)
		}, size},
		{"from a socket", func(w *tcp.Conn) (int64, error) {
			d, a := connect(t, l.Address().String(), l)
			go func() { _, _ = d.Write(data); _ = d.CloseWrite() }()
			return io.Copy(w, a)
		}, size},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, a := connect(t, l.Address().String(), l)
			got := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(d); got <- b }()
			n, err := tt.send(a.(*tcp.Conn))
			_ = a.CloseWrite()
			if b := <-got; err != nil || n != int64(tt.size) || !bytes.Equal(b, data[:tt.size]) {
				t.Errorf("sent %d, %v; %d arrived, want %d", n, err, len(b), tt.size)
			}
			out += uint64(tt.size)
			if counted := counters.BytesOut.Load(); counted != out {
				t.Errorf("counted %d out, want %d", counted, out)
			}
		})
	}
	if in := counters.BytesIn.Load(); in != size {
		t.Errorf("counted %d in, want %d", in, size)
	}
}

// TestCountsWhileItRuns: a long splice is seen before its end.
func TestCountsWhileItRuns(t *testing.T) {
	l := serve(t, "tcp://127.0.0.1:0")
	counters := l.(interface{ Counters() *endpoint.Counters }).Counters()
	src, from := connect(t, l.Address().String(), l)
	dst, to := connect(t, l.Address().String(), l)
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(to, from); ended <- err }()
	go func() { _, _ = io.Copy(src, io.LimitReader(zeros{}, 4<<20)) }()
	if _, err := io.ReadFull(dst, make([]byte, 4<<20)); err != nil {
		t.Fatal(err)
	}
	if in, out := counters.BytesIn.Load(), counters.BytesOut.Load(); in < 3<<20 || out < 3<<20 {
		t.Errorf("after 4 MiB, %d in and %d out are counted", in, out)
	}
	_ = src.CloseWrite()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func serve(t *testing.T, addr string) transport.Listener {
	t.Helper()
	l, err := listen(t.Context(), addr, transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func address(t *testing.T, s string) endpoint.Address {
	t.Helper()
	a, err := endpoint.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func connect(t *testing.T, addr string, l transport.Listener) (d, a transport.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	d, err := dial(ctx, addr, transport.DialConfig{})
	if err != nil {
		t.Fatal(err)
	}
	a, err = l.AcceptConn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []transport.Conn{d, a} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
	}
	return d, a
}
