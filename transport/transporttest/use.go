// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/parley-ipc/parley/internal/stock"
	"github.com/parley-ipc/parley/transport"
)

func connsOf(b Backend) int {
	if b.many() {
		return 4
	}
	return 1
}

func dialer(b Backend, addr string) stock.Dial {
	return func(ctx context.Context) (net.Conn, error) {
		c, err := b.Dial(ctx, addr, transport.DialConfig{HandshakeTimeout: limit})
		if err != nil {
			return nil, err // not c: a nil Conn in a net.Conn is not nil
		}
		return c, nil
	}
}

func call(t *testing.T, u stock.Use, dial stock.Dial, conns int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := u.Call(ctx, dial, conns); err != nil {
		t.Error(err)
	}
}

// use runs stock clients and servers within the process.
func use(t *testing.T, b Backend) {
	for _, u := range stock.Uses() {
		t.Run(u.Name, func(t *testing.T) {
			if !b.listens() {
				usePair(t, b, u)
				return
			}
			l := listen(t, b, transport.ListenConfig{})
			stop := u.Serve(l)
			defer stop()
			call(t, u, dialer(b, l.Address().String()), connsOf(b))
		})
	}
}

func usePair(t *testing.T, b Backend, u stock.Use) {
	near, far := pair(t, b)
	stop := u.Serve(newSingle(far))
	defer stop()
	var taken atomic.Bool
	call(t, u, func(context.Context) (net.Conn, error) {
		if taken.Swap(true) {
			return nil, errors.New("there is one connection only")
		}
		return near, nil
	}, 1)
}

// useTwoProcesses runs them with the server in a child, and with the client
// in a child.
func useTwoProcesses(t *testing.T, b Backend) {
	for _, u := range stock.Uses() {
		if b.spawns() {
			t.Run(u.Name+"/ServerSpawned", func(t *testing.T) {
				call(t, u, dialer(b, b.Spawned(t, b.role("serve-stdio"), u.Name)), 1)
			})
			continue
		}
		t.Run(u.Name+"/ServerInChild", func(t *testing.T) {
			child := start(t, b, "serve", b.Address(t), u.Name)
			call(t, u, dialer(b, child.Hear()), connsOf(b))
			child.Done()
			if err := child.Wait(); err != nil {
				t.Errorf("the server: %v", err)
			}
		})
		t.Run(u.Name+"/ClientInChild", func(t *testing.T) {
			l := listen(t, b, transport.ListenConfig{HandshakeTimeout: limit})
			stop := u.Serve(l)
			defer stop()
			child := start(t, b, "call", l.Address().String(), u.Name)
			child.Expect("ok")
			child.Done()
			if err := child.Wait(); err != nil {
				t.Errorf("the client: %v", err)
			}
		})
	}
}
