// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"io"
	"path/filepath"
	"runtime"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// TestTooLargeBeforeTheStatus: a message that was thrown away is what a call is
// said to have failed of, even if the status has come before anybody asks.
func TestTooLargeBeforeTheStatus(t *testing.T) {
	t.Run("OK", func(t *testing.T) { tooLargeBefore(t, nil) })
	t.Run("Aborted", func(t *testing.T) { tooLargeBefore(t, status.Error(codes.Aborted, "later")) })
}

func tooLargeBefore(t *testing.T, end error) {
	s := NewServer(ServerConfig{UnknownServiceHandler: func(_ any, s grpc.ServerStream) error {
		if err := s.SendMsg(&pb.SimpleResponse{Username: "longer than allowed"}); err != nil {
			return err
		}
		return end
	}})
	address := "unix://" + filepath.Join(t.TempDir(), "s")
	ln, err := s.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	client, err := Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	stream, err := client.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/t.T/Any", grpc.MaxCallRecvMsgSize(10))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(new(pb.Empty)); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil { // reads, and leaves the rest to the poller
		t.Fatal(err)
	}
	awaitStatus(stream.(*clientStream))
	if err := stream.RecvMsg(new(pb.SimpleResponse)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%v, want ResourceExhausted", err)
	}
	if err := stream.RecvMsg(new(pb.SimpleResponse)); status.Code(err) == codes.OK || err == io.EOF {
		t.Errorf("%v, and it did not end well", err)
	}
	s.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// awaitStatus returns once the call is over: the poller's knowledge, of which
// nobody is told who does not receive.
func awaitStatus(s *clientStream) {
	for {
		s.in.mu.Lock()
		closed := s.closed
		s.in.mu.Unlock()
		if closed {
			return
		}
		runtime.Gosched()
	}
}
