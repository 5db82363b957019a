// SPDX-License-Identifier: Apache-2.0

package unix_test

import (
	"context"
	"maps"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/transporttest"
	"github.com/parley-ipc/parley/transport/unix"
)

var backend = transporttest.Backend{
	Name:         "unix",
	Address:      func(t testing.TB) string { return "unix://" + filepath.Join(t.TempDir(), "s") },
	Listen:       listen,
	Dial:         dial,
	DialerSees:   kernelSays,
	ListenerSees: kernelSays,
	Files:        true,
}

var spinning = transporttest.Spinning(backend, transport.SpinAlways)

func TestMain(m *testing.M) {
	roles := transporttest.Roles(backend)
	maps.Copy(roles, transporttest.Roles(spinning))
	proctest.Main(m, roles)
}

func TestSuite(t *testing.T)         { transporttest.Run(t, backend) }
func TestSuiteSpinning(t *testing.T) { transporttest.Run(t, spinning) }

func listen(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	return unix.Listen(ctx, a, cfg)
}

func dial(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	c, err := unix.Dial(ctx, a, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func kernelSays(p transporttest.Party) auth.Identity {
	return auth.Identity{Method: auth.Kernel, HasUID: true, UID: p.UID, GID: p.GID, PID: p.PID}
}
