// SPDX-License-Identifier: Apache-2.0

package fifo_test

import (
	"context"
	"maps"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/fifo"
	"github.com/parley-ipc/parley/transport/transporttest"
)

var backend = transporttest.Backend{
	Name:         "fifo",
	Address:      func(t testing.TB) string { return "fifo://" + filepath.Join(t.TempDir(), "f") },
	Listen:       listen,
	Dial:         dial,
	DialerSees:   ownerSays,
	ListenerSees: ownerSays,
	OnePeer:      true,
}

func TestMain(m *testing.M) {
	all := transporttest.Roles(backend)
	maps.Copy(all, roles)
	proctest.RunRole(all)
	goleak.VerifyTestMain(proctest.Isolated(m))
}

func TestSuite(t *testing.T) { transporttest.Run(t, backend) }

func listen(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	return fifo.Listen(ctx, a, cfg)
}

func dial(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	c, err := fifo.Dial(ctx, a, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func ownerSays(p transporttest.Party) auth.Identity {
	return auth.Identity{Method: auth.FileOwner, HasUID: true, UID: p.UID, GID: p.GID}
}
