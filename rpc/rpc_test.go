// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/rpc"
)

// tester is the service that these tests call.
type tester struct {
	pb.UnimplementedTestServiceServer
}

func (t *tester) EmptyCall(ctx context.Context, _ *pb.Empty) (*pb.Empty, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (t *tester) UnaryCall(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		for _, v := range md["echo"] {
			_ = grpc.SetHeader(ctx, metadata.Pairs("echo-header", v))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("echo-trailer", v))
		}
	}
	switch s := req.GetResponseStatus(); {
	case s.GetMessage() == "panic":
		panic("as asked")
	case s != nil:
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	p, _ := peer.FromContext(ctx)
	return &pb.SimpleResponse{Username: p.AuthInfo.(auth.Identity).String(), Payload: req.GetPayload()}, nil
}

func (t *tester) FullDuplexCall(s pb.TestService_FullDuplexCallServer) error {
	for {
		req, err := s.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, p := range req.GetResponseParameters() {
			if err := s.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
				return err
			}
		}
	}
}

func (t *tester) StreamingOutputCall(req *pb.StreamingOutputCallRequest, s pb.TestService_StreamingOutputCallServer) error {
	for _, p := range req.GetResponseParameters() {
		if err := s.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	return nil
}

func (t *tester) StreamingInputCall(s pb.TestService_StreamingInputCallServer) error {
	n := 0
	for {
		req, err := s.Recv()
		if err == io.EOF {
			return s.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(n)})
		}
		if err != nil {
			return err
		}
		n += len(req.GetPayload().GetBody())
	}
}

// serve starts a server at the address and returns it with a connected client.
func serve(t *testing.T, address string, sc rpc.ServerConfig) (*rpc.Server, *rpc.Client) {
	t.Helper()
	sc.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	s := rpc.NewServer(sc)
	pb.RegisterTestServiceServer(s, &tester{})
	return s, dial(t, start(t, s, address))
}

// start serves s at the address until the test is over, and returns what to
// dial.
func start(t *testing.T, s *rpc.Server, address string) string {
	t.Helper()
	ln, err := s.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, ln)
	return ln.Address().String()
}

func serveOn(t *testing.T, s *rpc.Server, ln net.Listener) {
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil && !errors.Is(err, rpc.ErrServerStopped) { // before it began
			t.Error(err)
		}
	})
}

// dial returns a connected client.
func dial(t *testing.T, target string) *rpc.Client {
	t.Helper()
	c, err := rpc.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// handle is rpc.Handle.
func handle[Req, Resp any](t *testing.T, s *rpc.Server, method string, f func(context.Context, *Req) (*Resp, error)) {
	t.Helper()
	if err := rpc.Handle(s, method, f); err != nil {
		t.Fatal(err)
	}
}

// everyone may do everything: who may what is another test's.
var everyone = auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error { return nil })

// emptyStream is a streaming call without messages.
func emptyStream(t *testing.T, c pb.TestServiceClient) {
	t.Helper()
	both, err := c.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = both.CloseSend()
	if _, err := both.Recv(); err != io.EOF {
		t.Error(err)
	}
}

func addresses(t *testing.T) map[string]string {
	dir := t.TempDir()
	return map[string]string{
		"shm":    "shm://" + filepath.Join(dir, "a"),
		"unix":   "unix://" + filepath.Join(dir, "b"),
		"tcp":    "tcp://127.0.0.1:0",
		"inproc": "inproc://" + strings.ReplaceAll(t.Name(), "/", "-"),
	}
}

func everywhere(t *testing.T, f func(t *testing.T, c pb.TestServiceClient)) {
	for name, a := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, a, rpc.ServerConfig{})
			f(t, pb.NewTestServiceClient(c))
		})
	}
}

func payload(n int) *pb.Payload {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return &pb.Payload{Body: b}
}

func TestUnaryOfEverySize(t *testing.T) {
	everywhere(t, func(t *testing.T, c pb.TestServiceClient) {
		for range rounds {
			for _, n := range []int{0, 1, 100, 8 << 10, 70_000, 300_000, 2 << 20} {
				if n > 70_000 && testing.Short() {
					continue
				}
				want := payload(n)
				got, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: want})
				if err != nil {
					t.Fatal(n, err)
				}
				if string(got.GetPayload().GetBody()) != string(want.GetBody()) {
					t.Fatalf("%d bytes came back changed", n)
				}
			}
		}
	})
}

func TestManyCallersAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, c pb.TestServiceClient) {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				want := payload(64<<10 + i)
				for range rounds {
					got, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: want})
					if err != nil {
						t.Error(err)
						return
					}
					if string(got.GetPayload().GetBody()) != string(want.GetBody()) {
						t.Error("another's answer")
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestMetadataBothWays(t *testing.T) {
	everywhere(t, func(t *testing.T, c pb.TestServiceClient) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "Echo", "one", "echo", "two")
		var header, trailer metadata.MD
		var p peer.Peer
		if _, err := c.UnaryCall(ctx, &pb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&p)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(header["echo-header"], trailer["echo-trailer"]); got != "[one two] [one two]" {
			t.Error(got)
		}
		if _, ok := p.AuthInfo.(auth.Identity); !ok {
			t.Errorf("the server is %v", p.AuthInfo)
		}
	})
}

func TestStatuses(t *testing.T) {
	everywhere(t, func(t *testing.T, c pb.TestServiceClient) {
		_, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: 5, Message: "no such"}})
		if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "no such" {
			t.Error(err)
		}
		_, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: 5, Message: "panic"}})
		if status.Code(err) != codes.Internal {
			t.Error(err)
		}
		_, err = c.UnimplementedCall(t.Context(), &pb.Empty{})
		if status.Code(err) != codes.Unimplemented {
			t.Error(err)
		}
		_, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(5 << 20)})
		if status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
		_, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(5 << 10)}, grpc.MaxCallRecvMsgSize(1000))
		if status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
		if _, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
			t.Error("after all that:", err)
		}
	})
}

func TestDeadlineAndCancel(t *testing.T) {
	everywhere(t, func(t *testing.T, c pb.TestServiceClient) {
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if _, err := c.EmptyCall(ctx, &pb.Empty{}); status.Code(err) != codes.DeadlineExceeded {
				t.Error(err)
			}
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(5*time.Millisecond, cancel)
			if _, err := c.EmptyCall(ctx, &pb.Empty{}); status.Code(err) != codes.Canceled {
				t.Error(err)
			}
			if _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestStreams(t *testing.T) {
	everywhere(t, func(t *testing.T, c pb.TestServiceClient) {
		out, err := c.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{ResponseParameters: sizes(2000, 1000)})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			if _, err = out.Recv(); err != nil {
				break
			}
			n++
		}
		if n != 2000 || err != io.EOF {
			t.Error(n, err)
		}

		in, err := c.StreamingInputCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if err := in.Send(&pb.StreamingInputCallRequest{Payload: payload(1000)}); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := in.CloseAndRecv()
		if err != nil || sum.GetAggregatedPayloadSize() != 1_000_000 {
			t.Error(sum, err)
		}

		both, err := c.FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if err := both.Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(1, i*100)}); err != nil {
				t.Fatal(err)
			}
			r, err := both.Recv()
			if err != nil || len(r.GetPayload().GetBody()) != i*100 {
				t.Fatal(err)
			}
		}
		if err := both.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := both.Recv(); err != io.EOF {
			t.Error(err)
		}
	})
}

func sizes(n, size int) []*pb.ResponseParameters {
	var all []*pb.ResponseParameters
	for range n {
		all = append(all, &pb.ResponseParameters{Size: int32(size)})
	}
	return all
}

func TestStockClientOnTheSameSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, own := serve(t, "shm://"+path, rpc.ServerConfig{})
	cc, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	for name, c := range map[string]pb.TestServiceClient{"own": pb.NewTestServiceClient(own), "stock": pb.NewTestServiceClient(cc)} {
		r, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{})
		if err != nil || !strings.HasPrefix(r.GetUsername(), "uid:") {
			t.Error(name, r, err)
		}
		_, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: 5, Message: "panic"}})
		if status.Code(err) != codes.Internal {
			t.Error(name, err)
		}
	}
}

func TestGracefulStop(t *testing.T) {
	s, c := serve(t, "shm://"+filepath.Join(t.TempDir(), "s"), rpc.ServerConfig{})
	tc := pb.NewTestServiceClient(c)
	both, err := tc.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := both.Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(1, 1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { s.GracefulStop(); close(stopped) }()
	if err := both.Send(&pb.StreamingOutputCallRequest{ResponseParameters: sizes(1, 1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); err != nil {
		t.Fatal(err)
	}
	_ = both.CloseSend()
	if _, err := both.Recv(); err != io.EOF {
		t.Error(err)
	}
	<-stopped
	if _, err := tc.UnaryCall(t.Context(), &pb.SimpleRequest{}); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}
