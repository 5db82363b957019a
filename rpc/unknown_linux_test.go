// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/rpc"
)

// TestUnknownServiceHandler gets what nobody has registered, on both doors and
// once the policy has been asked, as grpc-go's does.
func TestUnknownServiceHandler(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "shm://"+path, rpc.ServerConfig{Authorizer: onlyUnary, UnknownServiceHandler: func(_ any, s grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(s)
		if err := s.RecvMsg(new(pb.SimpleRequest)); err != nil {
			return err
		}
		return s.SendMsg(&pb.SimpleResponse{Username: method})
	}})
	for name, cc := range bothDoors(t, path, newWatcher()) {
		for _, method := range []string{"/no.Such/UnaryCall", "/no.Such/UnaryCall", "/grpc.testing.TestService/Not/UnaryCall"} {
			answer := new(pb.SimpleResponse)
			if err := cc.Invoke(t.Context(), method, &pb.SimpleRequest{}, answer); err != nil || answer.GetUsername() != method {
				t.Errorf("%s: %s: %v, %v", name, method, answer, err)
			}
		}
		if err := cc.Invoke(t.Context(), "/no.Such/Other", &pb.SimpleRequest{}, new(pb.SimpleResponse)); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: denied: %v", name, err)
		}
		if err := cc.Invoke(t.Context(), "nonsense", &pb.SimpleRequest{}, new(pb.SimpleResponse)); status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: no name: %v", name, err)
		}
	}
}
