// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/rpc"
)

// TestMarshalledInPlace: a message that fails half-way through its marshalling
// leaves nothing in the ring, in either direction; one that does not is whole.
func TestMarshalledInPlace(t *testing.T) {
	address := "shm://" + filepath.Join(t.TempDir(), "s")
	s := rpc.NewServer(rpc.ServerConfig{})
	handle(t, s, "/t.T/Echo", func(_ context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		out := &pb.SimpleResponse{Payload: in.GetPayload()}
		if in.GetFillUsername() {
			out.OauthScope = "\xff" // which proto3 refuses, after the payload
		}
		return out, nil
	})
	pb.RegisterTestServiceServer(s, &tester{})
	c := dial(t, start(t, s, address))
	for i := range 200 {
		body := make([]byte, 9000+i*500)
		for j := range body {
			body[j] = byte(i + j)
		}
		bad := i%3 == 0
		out, err := rpc.Call[pb.SimpleRequest, pb.SimpleResponse](t.Context(), c, "/t.T/Echo", &pb.SimpleRequest{Payload: &pb.Payload{Body: body}, FillUsername: bad})
		switch {
		case bad && status.Code(err) != codes.Internal:
			t.Fatalf("call %d: %v", i, err)
		case !bad && (err != nil || sum(out.GetPayload().GetBody()) != sum(body)):
			t.Fatalf("call %d: %s, want %s: %v", i, sum(out.GetPayload().GetBody()), sum(body), err)
		}
		if bad {
			badRequest(t, c, body)
			badStream(t, c, body)
		}
	}
}

// badRequest makes a call that cannot be marshalled, though it begins well.
func badRequest(t *testing.T, c *rpc.Client, body []byte) {
	t.Helper()
	bad := &pb.SimpleRequest{Payload: &pb.Payload{Body: body}, ResponseStatus: &pb.EchoStatus{Message: "\xff"}}
	_, err := rpc.Call[pb.SimpleRequest, pb.SimpleResponse](t.Context(), c, "/t.T/Echo", bad)
	if status.Code(err) != codes.Internal {
		t.Fatalf("a request that cannot be marshalled: %v", err)
	}
}

// badStream sends a message, then one that cannot be marshalled.
func badStream(t *testing.T, c *rpc.Client, body []byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := pb.NewTestServiceClient(c).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	good := &pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: body}}
	if err := stream.Send(good); err != nil {
		t.Fatal(err)
	}
	bad := &pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: body}, ResponseStatus: &pb.EchoStatus{Message: "\xff"}}
	if err := stream.Send(bad); status.Code(err) != codes.Internal {
		t.Fatalf("a message that cannot be marshalled: %v", err)
	}
}
