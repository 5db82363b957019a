// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/rpc"
)

// TestKillServer kills a server under load: every call under way ends as
// Unavailable, and the client finds the next server by itself.
func TestKillServer(t *testing.T) {
	for _, scheme := range []string{"shm", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			address := scheme + "://" + filepath.Join(t.TempDir(), "s")
			p := proctest.Start(t, "server", address)
			c, err := rpc.Dial(t.Context(), p.Hear())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			tc := pb.NewTestServiceClient(c)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					for {
						_, err := tc.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload(i * 5000)})
						if err != nil {
							if status.Code(err) != codes.Unavailable {
								t.Error(err)
							}
							return
						}
					}
				})
			}
			wg.Go(func() { // waits for its deadline, or for the death
				if _, err := tc.EmptyCall(ctx, &pb.Empty{}); status.Code(err) != codes.Unavailable {
					t.Error(err)
				}
			})
			p.Kill()
			wg.Wait()
			next := proctest.Start(t, "server", address)
			next.Hear()
			if _, err := tc.UnaryCall(ctx, &pb.SimpleRequest{}, grpc.WaitForReady(true)); err != nil {
				t.Error("after the restart:", err)
			}
			if s := c.GetState(); s != connectivity.Ready {
				t.Error(s)
			}
		})
	}
}

// TestCallBothWays has a server call its client within the client's own call.
func TestCallBothWays(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			s := rpc.NewServer(rpc.ServerConfig{})
			pb.RegisterTestServiceServer(s, backCaller{})
			target := start(t, s, address)
			c, err := rpc.NewClient(rpc.ClientConfig{
				Address:  target,
				Services: func(r grpc.ServiceRegistrar) { pb.RegisterTestServiceServer(r, &tester{}) },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			for i := range 200 {
				r, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(i)})
				if err != nil || len(r.GetPayload().GetBody()) != i {
					t.Fatal(r, err)
				}
			}
			plain := dial(t, target)
			if _, err := pb.NewTestServiceClient(plain).UnaryCall(t.Context(), &pb.SimpleRequest{}); status.Code(err) != codes.Unimplemented {
				t.Error("a client that serves nothing:", err)
			}
		})
	}
}

type backCaller struct {
	pb.UnimplementedTestServiceServer
}

func (backCaller) UnaryCall(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	p, ok := rpc.PeerFromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no peer")
	}
	return pb.NewTestServiceClient(p).UnaryCall(ctx, req)
}
