// SPDX-License-Identifier: Apache-2.0

package inproc_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
	"github.com/parley-ipc/parley/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	var network inproc.Network
	var names atomic.Int64
	self := func(transporttest.Party) auth.Identity { return auth.Self() }
	transporttest.Run(t, transporttest.Backend{
		Name:    "inproc",
		Address: func(testing.TB) string { return fmt.Sprintf("inproc://suite%d", names.Add(1)) },
		Listen: func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
			a, err := endpoint.Parse(addr)
			if err != nil {
				return nil, err
			}
			return network.Listen(ctx, a, cfg)
		},
		Dial: func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
			a, err := endpoint.Parse(addr)
			if err != nil {
				return nil, err
			}
			c, err := network.Dial(ctx, a, cfg)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		DialerSees:   self,
		ListenerSees: self,
		Files:        runtime.GOOS == "linux",
		OneProcess:   true,
	})
}
