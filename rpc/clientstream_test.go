// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"io"
	"path/filepath"
	"runtime"
	"sync"
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
	t.Helper()
	client := clientOf(t, func(_ any, s grpc.ServerStream) error {
		if err := s.SendMsg(&pb.SimpleResponse{Username: "longer than allowed"}); err != nil {
			return err
		}
		return end
	})
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
	for s := stream.(*clientStream); !over(s); { // the poller's knowledge, of which nobody is told who does not receive
		runtime.Gosched()
	}
	if err := stream.RecvMsg(new(pb.SimpleResponse)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%v, want ResourceExhausted", err)
	}
	if err := stream.RecvMsg(new(pb.SimpleResponse)); status.Code(err) == codes.OK || err == io.EOF {
		t.Errorf("%v, and it did not end well", err)
	}
}

// clientOf is a client of a server that answers every call so.
func clientOf(t *testing.T, h grpc.StreamHandler) *Client {
	t.Helper()
	c, _ := connected(t, NewServer(ServerConfig{UnknownServiceHandler: h}))
	return c
}

// connected is a client of s, which it starts, and waits for the end of its
// Serve, which comes with the test's at the latest.
func connected(t *testing.T, s *Server) (c *Client, ended func() error) {
	t.Helper()
	address := "unix://" + filepath.Join(t.TempDir(), "s")
	ln, err := s.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	ended = sync.OnceValue(func() error { return <-served })
	c, err = Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		s.Stop()
		if err := ended(); err != nil {
			t.Error(err)
		}
	})
	return c, ended
}

// TestSendingEndsFirst: nobody hears that a call has ended while it could still
// be sent on.
func TestSendingEndsFirst(t *testing.T) {
	client := clientOf(t, func(_ any, s grpc.ServerStream) error {
		<-s.Context().Done()
		return s.Context().Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/t.T/Any")
	if err != nil {
		t.Fatal(err)
	}
	s := stream.(*clientStream)
	s.c.w.mu.Lock() // so that sending cannot end
	cancel()
	for range 1000 {
		if over(s) {
			t.Error("the call is over and may still be sent on")
			break
		}
		runtime.Gosched()
	}
	s.c.w.mu.Unlock()
	if err := stream.RecvMsg(new(pb.Empty)); status.Code(err) != codes.Canceled {
		t.Errorf("%v, want Canceled", err)
	}
	if err := stream.SendMsg(new(pb.Empty)); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
}

func over(s *clientStream) bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.closed
}
