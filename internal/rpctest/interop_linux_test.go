// SPDX-License-Identifier: Apache-2.0

package rpctest_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/rpctest"
)

// playInterop is a child that plays one case against grpc-go at an address.
func playInterop(p *proctest.Self) error {
	cc, err := grpc.NewClient("passthrough:///peer", grpc.WithAuthority("localhost"),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return parley.Dial(ctx, p.Args[1]) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := rpctest.Interop(ctx, p.Args[0], cc); err != nil {
		return err
	}
	return cc.Close()
}

// TestInteropStock: grpc-go passes its own cases over shared memory.
func TestInteropStock(t *testing.T) {
	address := "shm://" + filepath.Join(rpctest.ShortDir(t), "s")
	ln, err := parley.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	server, served := grpc.NewServer(), make(chan struct{})
	rpctest.RegisterInterop(server)
	go func() { defer close(served); _ = server.Serve(ln) }()
	defer func() { server.Stop(); <-served }()
	for _, name := range rpctest.InteropCases() {
		t.Run(name, func(t *testing.T) {
			if err := proctest.Start(t, "interop", name, address).Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInteropCanFail: a case that fails ends its child with an error.
func TestInteropCanFail(t *testing.T) {
	address := "unix://" + filepath.Join(rpctest.ShortDir(t), "s")
	ln, err := parley.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	server, served := grpc.NewServer(), make(chan struct{}) // of nothing
	go func() { defer close(served); _ = server.Serve(ln) }()
	defer func() { server.Stop(); <-served }()
	for _, name := range []string{"empty_unary", "special_status_message"} {
		if err := proctest.Start(t, "interop", name, address).Wait(); err == nil {
			t.Errorf("%s passed on a server that has nothing", name)
		}
	}
}
