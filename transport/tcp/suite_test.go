// SPDX-License-Identifier: Apache-2.0

package tcp_test

import (
	"context"
	"maps"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tcp"
	"github.com/parley-ipc/parley/transport/transporttest"
)

var backend = transporttest.Backend{
	Name:         "tcp",
	Address:      func(testing.TB) string { return "tcp://127.0.0.1:0" },
	Listen:       listen,
	Dial:         dial,
	DialerSees:   kernelSays,
	ListenerSees: kernelSays,
}

var spinning = transporttest.Spinning(backend, transport.SpinAlways)

func TestMain(m *testing.M) {
	roles := transporttest.Roles(backend)
	maps.Copy(roles, transporttest.Roles(spinning))
	maps.Copy(roles, ownRoles)
	proctest.Main(m, roles)
}

func TestSuite(t *testing.T)         { transporttest.Run(t, backend) }
func TestSuiteSpinning(t *testing.T) { transporttest.Run(t, spinning) }

func listen(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	return tcp.Listen(ctx, a, cfg)
}

func dial(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	c, err := tcp.Dial(ctx, a, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// kernelSays: the uid of the socket's owner, and no group.
func kernelSays(p transporttest.Party) auth.Identity {
	return auth.Identity{Method: auth.SockDiag, HasUID: true, UID: p.UID, GID: 1<<32 - 1}
}
