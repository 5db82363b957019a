// SPDX-License-Identifier: Apache-2.0

package rpctest_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/rpctest"
)

// stockPlace is grpc-go at an address of Parley's.
var stockPlace = rpctest.Place{
	Listen: func(address string) (func(), error) {
		ln, err := parley.Listen(context.Background(), address)
		if err != nil {
			return nil, err
		}
		server, served := grpc.NewServer(), make(chan struct{})
		rpctest.RegisterStorm(server)
		go func() { defer close(served); _ = server.Serve(ln) }()
		return func() { server.Stop(); <-served }, nil
	},
	Dial: func(address string) (rpctest.Client, error) {
		return grpc.NewClient("passthrough:///peer", grpc.WithAuthority("localhost"),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return parley.Dial(ctx, address) }),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
	},
}

// TestStockStorms: grpc-go stands the storms; what does not is to blame
// itself.
func TestStockStorms(t *testing.T) {
	rpctest.Storms(t, rpctest.Reference())
	address := "shm://" + filepath.Join(rpctest.ShortDir(t), "s")
	t.Run("killed servers", func(t *testing.T) { stockPlace.KilledServers(t, address) })
	t.Run("killed clients", func(t *testing.T) { stockPlace.KilledClients(t, address) })
}
