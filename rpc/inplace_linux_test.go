// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
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

// counted is a connection that counts what goes through copies.
type counted struct {
	*shm.Conn
	copied, lentOut, lentIn atomic.Int64
}

func (c *counted) TryWrite(p []byte) (int, error) {
	n, err := c.Conn.TryWrite(p)
	c.copied.Add(int64(n))
	return n, err
}

func (c *counted) Commit(n int) error {
	c.lentOut.Add(int64(n))
	return c.Conn.Commit(n)
}

func (c *counted) ReadFilesContext(ctx context.Context, p []byte) (int, []*os.File, error) {
	n, files, err := c.Conn.ReadFilesContext(ctx, p)
	c.copied.Add(int64(n))
	return n, files, err
}

func (c *counted) Discard(n int) error {
	c.lentIn.Add(int64(n))
	return c.Conn.Discard(n)
}

// TestNothingIsCopied: requests are marshalled into the ring and answers parsed
// out of it, those of a part at most and beyond small.
func TestNothingIsCopied(t *testing.T) {
	s := rpc.NewServer(rpc.ServerConfig{})
	pb.RegisterTestServiceServer(s, &tester{})
	address := start(t, s, "shm://"+filepath.Join(t.TempDir(), "s"))
	conns := make(chan *counted, 1)
	c, err := rpc.NewClient(rpc.ClientConfig{Address: address, DialConn: func(ctx context.Context) (transport.Conn, error) {
		dialer := parley.Dialer{SHM: trusting}
		conn, err := dialer.Dial(ctx, address)
		if err != nil {
			return nil, err
		}
		counts := &counted{Conn: conn.(*shm.Conn)}
		conns <- counts
		return counts, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	call := func(n int) {
		t.Helper()
		out, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(n), ResponseSize: int32(n)})
		if err != nil || len(out.GetPayload().GetBody()) != n {
			t.Fatal(len(out.GetPayload().GetBody()), err)
		}
	}
	call(10) // names the method, and more
	counts, all := <-conns, int64(0)
	for range 10 {
		for _, n := range []int{9000, 64 << 10, 128<<10 - 100} {
			call(n)
			all += int64(n)
		}
	}
	call(10)                                               // gives back what was lent
	if copied := counts.copied.Load(); copied > 2*all/10 { // where a window is being told, one may be
		t.Errorf("%d bytes of %d both ways are copied", copied, 2*all)
	}
	if out, in := counts.lentOut.Load(), counts.lentIn.Load(); out < all/10*9 || in < all/10*9 {
		t.Errorf("%d bytes are written in place and %d read, of %d", out, in, all)
	}
}
