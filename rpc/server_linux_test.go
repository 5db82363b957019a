// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/rpc"
)

// serverRole serves the test service at Args[0] until it is killed or its
// input ends.
func serverRole(p *proctest.Self) error {
	s := rpc.NewServer(rpc.ServerConfig{})
	if len(p.Args) > 1 { // a benchmark
		pb.RegisterTestServiceServer(s, &bare{})
	} else {
		pb.RegisterTestServiceServer(s, &tester{})
	}
	ln, err := s.Listen(context.Background(), p.Args[0])
	if err != nil {
		return err
	}
	p.Say(ln.Address().String())
	go func() {
		_, _ = p.Hear()
		s.Stop()
	}()
	return s.Serve(ln)
}
