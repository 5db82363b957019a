// SPDX-License-Identifier: Apache-2.0

package message_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tcp"
	"github.com/parley-ipc/parley/transport/unix"
)

// backend is a transport to run messages over.
type backend struct {
	addr   func(t testing.TB) string
	listen func(context.Context, endpoint.Address, transport.ListenConfig) (transport.Listener, error)
	dial   func(context.Context, endpoint.Address) (transport.Conn, error)
}

func socketPath(scheme string) func(testing.TB) string {
	return func(t testing.TB) string { return scheme + "://" + filepath.Join(t.TempDir(), "s") }
}

var backends = map[string]backend{
	"unix": {socketPath("unix"), unix.Listen, func(ctx context.Context, a endpoint.Address) (transport.Conn, error) {
		return unix.Dial(ctx, a, transport.DialConfig{})
	}},
	"tcp": {func(testing.TB) string { return "tcp://127.0.0.1:0" }, tcp.Listen, func(ctx context.Context, a endpoint.Address) (transport.Conn, error) {
		return tcp.Dial(ctx, a, transport.DialConfig{})
	}},
	"shm": {socketPath("shm"), func(ctx context.Context, a endpoint.Address, cfg transport.ListenConfig) (transport.Listener, error) {
		return shm.Listen(ctx, a, shm.ListenConfig{ListenConfig: cfg})
	}, func(ctx context.Context, a endpoint.Address) (transport.Conn, error) {
		return shm.Dial(ctx, a, shm.DialConfig{})
	}},
}

func (b backend) start(t testing.TB, ctx context.Context, cfg transport.ListenConfig) transport.Listener { //nolint:revive // t first
	t.Helper()
	addr, err := endpoint.Parse(b.addr(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.listen(ctx, addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (b backend) pair(t testing.TB, ctx context.Context) (client, server *message.Conn) { //nolint:revive // t first
	t.Helper()
	l := b.start(t, ctx, transport.ListenConfig{})
	x, err := b.dial(ctx, l.Address())
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.AcceptConn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	client, server = message.NewConn(x, message.Config{}), message.NewConn(y, message.Config{})
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func onEach(t *testing.T, f func(t *testing.T, ctx context.Context, b backend)) {
	for name, b := range backends {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			f(t, ctx, b)
		})
	}
}

func TestOverEachTransport(t *testing.T) {
	onEach(t, func(t *testing.T, ctx context.Context, b backend) {
		client, server := b.pair(t, ctx)
		var wg sync.WaitGroup
		wg.Go(func() { echo(ctx, t, server) })
		for _, n := range []int{0, 1, 100, 4096, 65536, 65537, 1 << 20, 5 << 20} {
			p := bytes.Repeat([]byte{byte(n), 1, 2}, n/3+1)[:n]
			room, err := client.Reserve(ctx, n+5)
			if err != nil {
				t.Fatal(err)
			}
			if err := room.Commit(ctx, copy(room.Bytes(), p)); err != nil {
				t.Fatal(err)
			}
			m, err := client.Receive(ctx)
			if err != nil || !bytes.Equal(m.Bytes(), p) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			m.Release()
		}
		if err := client.CloseWrite(ctx); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if _, err := client.Receive(ctx); err != io.EOF { //nolint:errorlint // the very value
			t.Fatal(err)
		}
	})
}

// echo answers until the goodbye, and says its own.
func echo(ctx context.Context, t *testing.T, c *message.Conn) {
	for {
		m, err := c.Receive(ctx)
		if errors.Is(err, io.EOF) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		if err := c.Send(ctx, m.Bytes()); err != nil {
			t.Error(err)
		}
		m.Release()
	}
}

func TestFilesOverEachTransport(t *testing.T) {
	onEach(t, func(t *testing.T, ctx context.Context, b backend) {
		client, server := b.pair(t, ctx)
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if _, err := f.WriteString("through the connection"); err != nil {
			t.Fatal(err)
		}
		err = client.SendFiles(ctx, nil, []*os.File{f})
		if errors.Is(err, fault.Unsupported) && b.addr(t)[:3] == "tcp" {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // plain messages around it
			if err := client.SendFiles(ctx, fmt.Append(nil, i), []*os.File{f, f}[:i]); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []int{1, 0, 1, 2} {
			m, err := server.Receive(ctx)
			if err != nil {
				t.Fatal(err)
			}
			files := m.Files()
			m.Release()
			if len(files) != want {
				t.Fatalf("%d files, want %d", len(files), want)
			}
			for _, g := range files {
				got := make([]byte, 50)
				n, _ := g.ReadAt(got, 0)
				_ = g.Close()
				if string(got[:n]) != "through the connection" {
					t.Fatalf("the file says %q", got[:n])
				}
			}
		}
	})
}

func TestCancelOverEachTransport(t *testing.T) {
	onEach(t, func(t *testing.T, ctx context.Context, b backend) {
		client, server := b.pair(t, ctx)
		short, cancel := context.WithCancel(ctx)
		ends := make(chan error, 2)
		go func() { _, err := client.Receive(short); ends <- err }()
		go func() {
			var err error
			for err == nil { // nobody receives
				err = client.Send(short, make([]byte, 1<<20))
			}
			ends <- err
		}()
		cancel()
		for range 2 {
			if err := <-ends; !errors.Is(err, fault.Canceled) {
				t.Fatal(err)
			}
		}
		if err := server.Send(ctx, []byte("still here")); err != nil {
			t.Fatal(err)
		}
		m, err := client.Receive(ctx)
		if err != nil || string(m.Bytes()) != "still here" {
			t.Fatal(err)
		}
		m.Release()
	})
}

// TestEndedContextLeavesNothingBehind: whatever way the context was watched,
// its end after the calls does not touch later ones.
func TestEndedContextLeavesNothingBehind(t *testing.T) {
	onEach(t, func(t *testing.T, ctx context.Context, b backend) {
		client, server := b.pair(t, ctx)
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		for range 3 {
			short, cancel := context.WithCancel(ctx)
			for range 3 {
				_ = client.SendFiles(short, []byte("x"), []*os.File{f}) // not over tcp
				if err := client.Send(short, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			cancel()
			room, err := client.Reserve(ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			if err := room.Commit(ctx, 10); err != nil {
				t.Fatal(err)
			}
			if err := client.Send(context.Background(), []byte("last")); err != nil {
				t.Fatal(err)
			}
		}
		for last := 0; last < 3; {
			m, err := server.Receive(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Bytes()) == "last" {
				last++
			}
			m.Release()
		}
	})
}

// TestSendFilesIsCancelled: also past the part that carries the files.
func TestSendFilesIsCancelled(t *testing.T) {
	onEach(t, func(t *testing.T, ctx context.Context, b backend) {
		client, _ := b.pair(t, ctx)
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		err = client.SendFiles(short, make([]byte, 20<<20), []*os.File{f}) // nobody receives
		if !errors.Is(err, fault.Timeout) && !errors.Is(err, fault.Unsupported) {
			t.Fatal(err)
		}
	})
}

func TestDeniedOverEachTransport(t *testing.T) {
	onEach(t, func(t *testing.T, ctx context.Context, b backend) {
		l := b.start(t, ctx, transport.ListenConfig{
			Refuse: message.Refuse,
			Authorizer: auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error {
				return fault.Denied
			}),
		})
		c, err := b.dial(ctx, l.Address())
		if err == nil {
			mc := message.NewConn(c, message.Config{})
			defer func() { _ = mc.Close() }()
			_, err = mc.Receive(ctx)
		}
		if !errors.Is(err, fault.Denied) {
			t.Fatal(err)
		}
	})
}

func BenchmarkOverTransport(b *testing.B) {
	for name, back := range backends {
		for _, size := range []int{64, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				client, server := back.pair(b, ctx)
				go func() {
					for {
						m, err := server.Receive(ctx)
						if err != nil {
							return
						}
						err = server.Send(ctx, m.Bytes())
						m.Release()
						if err != nil {
							return
						}
					}
				}()
				p := make([]byte, size)
				b.ReportAllocs()
				for b.Loop() {
					if err := client.Send(ctx, p); err != nil {
						b.Fatal(err)
					}
					m, err := client.Receive(ctx)
					if err != nil {
						b.Fatal(err)
					}
					m.Release()
				}
			})
		}
	}
}
