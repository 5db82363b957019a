// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/parley-ipc/parley/rpc"
)

func Example() {
	dir, err := os.MkdirTemp("", "rpc")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	address := "shm://" + filepath.Join(dir, "greeter")

	s := rpc.NewServer(rpc.ServerConfig{}) // register services as with grpc.NewServer
	ln, err := s.Listen(ctx, address)
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	defer s.Stop()

	c, err := rpc.Dial(ctx, address) // then any stub, as with grpc.NewClient
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r, err := healthpb.NewHealthClient(c).Check(ctx, &healthpb.HealthCheckRequest{})
	fmt.Println(r.GetStatus(), err)
	// Output: SERVING <nil>
}
