// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/fifo"
	"github.com/parley-ipc/parley/transport/inproc"
	"github.com/parley-ipc/parley/transport/shm"
)

var backends = map[string]func(context.Context, *testing.T) (client, server transport.Conn){
	"inproc": func(context.Context, *testing.T) (client, server transport.Conn) {
		return inproc.Pipe()
	},
	"shm": func(ctx context.Context, t *testing.T) (client, server transport.Conn) {
		l, err := shm.Listen(ctx, address(t, "shm"), shm.ListenConfig{})
		server = accept(ctx, t, l, err, func(a endpoint.Address) (err error) {
			client, err = shm.Dial(ctx, a, shm.DialConfig{})
			return err
		})
		return client, server
	},
	"fifo": func(ctx context.Context, t *testing.T) (client, server transport.Conn) {
		l, err := fifo.Listen(ctx, address(t, "fifo"), transport.ListenConfig{})
		server = accept(ctx, t, l, err, func(a endpoint.Address) (err error) {
			client, err = fifo.Dial(ctx, a, transport.DialConfig{})
			return err
		})
		return client, server
	},
}

func address(t *testing.T, scheme string) endpoint.Address {
	t.Helper()
	a, err := endpoint.Parse(scheme + "://" + filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func accept(ctx context.Context, t *testing.T, l transport.Listener, err error, dial func(endpoint.Address) error) transport.Conn {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := dial(l.Address()); err != nil {
		t.Fatal(err)
	}
	c, err := l.AcceptConn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOverEachTransport(t *testing.T) {
	for name, connect := range backends {
		t.Run(name, func(t *testing.T) {
			ctx := background(t)
			x, y := connect(ctx, t)
			client, server := message.NewConn(x, message.Config{}), message.NewConn(y, message.Config{})
			from, to := filepath.Join(t.TempDir(), "big"), t.TempDir()
			want := write(t, from, 9*chunkSize+3, 0o644)
			done := make(chan error, 1)
			go func() {
				err := Receive(ctx, server, to, ReceiveOptions{})
				_ = server.Close()
				done <- err
			}()
			if err := Send(ctx, client, []string{from, from + "-missing"}, SendOptions{}); err == nil {
				t.Fatal("the missing file was not reported")
			}
			_ = client.Close()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(to, "big")); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		})
	}
}
