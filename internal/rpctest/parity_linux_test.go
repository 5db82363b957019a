// SPDX-License-Identifier: Apache-2.0

package rpctest_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/rpctest"
)

func TestMain(m *testing.M) {
	roles := stockPlace.StormRoles()
	roles["interop"] = playInterop
	proctest.RunRole(roles)
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// TestStock: grpc-go over shared memory has the same stories as over a unix
// socket, every time; so whatever differs elsewhere is that backend's.
func TestStock(t *testing.T) {
	rpctest.Parity(t, rpctest.Stock("grpc-go over shm", func(t testing.TB) (net.Listener, rpctest.Dial) {
		t.Helper()
		address := "shm://" + filepath.Join(rpctest.ShortDir(t), "s")
		ln, err := parley.Listen(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		return ln, func(ctx context.Context) (net.Conn, error) { return parley.Dial(ctx, address) }
	}))
}
