// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/rpc"
)

// TestPanicOfAHandler is the caller's to know as Internal, without what it
// said, and the program's to read in the log, on both doors; the server lives.
func TestPanicOfAHandler(t *testing.T) {
	var log journal
	path := filepath.Join(t.TempDir(), "s")
	s := rpc.NewServer(rpc.ServerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	pb.RegisterTestServiceServer(s, panicker{})
	start(t, s, "shm://"+path)
	for name, cc := range bothDoors(t, path, newWatcher()) {
		c := pb.NewTestServiceClient(cc)
		for method, call := range map[string]func() error{
			"UnaryCall": func() error { _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{}); return err },
			"FullDuplexCall": func() error {
				s, err := c.FullDuplexCall(t.Context())
				if err == nil {
					_, err = s.Recv()
				}
				return err
			},
		} {
			if err := call(); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s, %s: %v", name, method, err)
			}
			said := log.take()
			for _, want := range []string{"panic", "the secret of " + method, "/grpc.testing.TestService/" + method, "panic_linux_test.go"} {
				if !strings.Contains(said, want) {
					t.Errorf("%s, %s: the log lacks %q: %s", name, method, want, said)
				}
			}
		}
		if _, err := c.EmptyCall(t.Context(), &pb.Empty{}); err != nil {
			t.Error(name, "after it:", err)
		}
	}
}

type panicker struct {
	pb.UnimplementedTestServiceServer
}

func (panicker) UnaryCall(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	panic("the secret of UnaryCall")
}

func (panicker) FullDuplexCall(pb.TestService_FullDuplexCallServer) error {
	panic("the secret of FullDuplexCall")
}

func (panicker) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) { return &pb.Empty{}, nil }
