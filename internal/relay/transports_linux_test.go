// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/fifo"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tcp"
	"github.com/parley-ipc/parley/transport/unix"
)

// connect returns both ends of a connection of the scheme.
func connect(ctx context.Context, t *testing.T, scheme string) (client, server transport.Conn) {
	t.Helper()
	text := scheme + "://" + filepath.Join(t.TempDir(), "s")
	if scheme == "tcp" {
		text = "tcp://127.0.0.1:0"
	}
	addr, err := endpoint.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var l transport.Listener
	var dial func(endpoint.Address) (transport.Conn, error)
	switch scheme {
	case "unix":
		l, err = unix.Listen(ctx, addr, transport.ListenConfig{})
		dial = func(a endpoint.Address) (transport.Conn, error) { return unix.Dial(ctx, a, transport.DialConfig{}) }
	case "tcp":
		l, err = tcp.Listen(ctx, addr, transport.ListenConfig{})
		dial = func(a endpoint.Address) (transport.Conn, error) { return tcp.Dial(ctx, a, transport.DialConfig{}) }
	case "shm":
		l, err = shm.Listen(ctx, addr, shm.ListenConfig{})
		dial = func(a endpoint.Address) (transport.Conn, error) { return shm.Dial(ctx, a, shm.DialConfig{}) }
	case "fifo":
		l, err = fifo.Listen(ctx, addr, transport.ListenConfig{})
		dial = func(a endpoint.Address) (transport.Conn, error) { return fifo.Dial(ctx, a, transport.DialConfig{}) }
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if client, err = dial(l.Address()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.AcceptConn(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

// TestCopyBetweenAnyTwo: both ways, with half-close.
func TestCopyBetweenAnyTwo(t *testing.T) {
	schemes := []string{"unix", "tcp", "shm", "fifo"}
	for _, from := range schemes {
		for _, to := range schemes {
			t.Run(from+" "+to, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				a, ra := connect(ctx, t, from)
				b, rb := connect(ctx, t, to)
				done := make(chan error, 1)
				go func() { done <- Copy(ctx, ra, rb) }()
				there(t, a, b)
				there(t, b, a)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// there sends bytes and the end from one end to the other.
func there(t *testing.T, from, to transport.Conn) {
	t.Helper()
	want := make([]byte, 300<<10)
	_, _ = rand.Read(want)
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(want)
		if err == nil {
			err = from.CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(to)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// TestCopyDropsNoFilesSilently: the bytes up to them are passed on, then it
// ends and says why.
func TestCopyDropsNoFilesSilently(t *testing.T) {
	for _, from := range []string{"unix", "shm"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		a, ra := connect(ctx, t, from)
		b, rb := connect(ctx, t, "tcp")
		done := make(chan error, 1)
		go func() { done <- Copy(ctx, ra, rb) }()
		if _, err := a.Write([]byte("before")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.(transport.FilePasser).WriteFiles([]byte("x"), []*os.File{os.Stdin}); err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(b); string(got) != "beforex" {
			t.Errorf("%s: %q", from, got)
		}
		if err := <-done; !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "side b cannot carry") {
			t.Errorf("%s: %v", from, err)
		}
	}
}

func TestCopyPassesFiles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, ra := connect(ctx, t, "unix")
	b, rb := connect(ctx, t, "shm")
	done := make(chan error, 1)
	go func() { done <- Copy(ctx, ra, rb) }()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := a.(transport.FilePasser).WriteFiles([]byte("x"), []*os.File{f}); err != nil {
		t.Fatal(err)
	}
	n, files, err := b.(transport.FilePasser).ReadFiles(make([]byte, 10))
	if n != 1 || len(files) != 1 || err != nil {
		t.Fatalf("%d bytes, %d files, %v", n, len(files), err)
	}
	_ = files[0].Close()
	_, _ = a.Close(), b.Close()
	<-done
}
