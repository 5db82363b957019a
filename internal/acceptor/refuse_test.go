// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Whoever is denied and does not read our last word keeps a slot for a second.
// That must not keep out those whom policy admits.
func TestTheDeniedLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var admit atomic.Bool
		f := start(t, Config{ListenConfig: transport.ListenConfig{
			MaxPending: 4,
			Authorizer: auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error {
				if admit.Load() {
					return nil
				}
				return fault.Denied
			}),
			Refuse: func(c transport.Conn) { _, _ = c.Write([]byte("no")) }, // a pipe: it waits for a reader
		}})
		var denied []net.Conn
		for range 2 {
			denied = append(denied, f.connect())
		}
		synctest.Wait()
		for range 3 {
			c := f.connect()
			if got, err := io.ReadAll(c); err != nil || len(got) != 0 {
				t.Errorf("one denied peer too many was told %q, %v", got, err)
			}
			_ = c.Close()
		}
		admit.Store(true)
		client := f.connect()
		c, err := f.AcceptConn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Close(), client.Close()
		for _, c := range denied { // still within their second
			if got, err := io.ReadAll(c); err != nil || string(got) != "no" {
				t.Errorf("a denied peer was told %q, %v", got, err)
			}
			_ = c.Close()
		}
	})
}
