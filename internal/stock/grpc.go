// SPDX-License-Identifier: Apache-2.0

package stock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// grpcService is gRPC's own test service, as far as callGRPC needs it.
type grpcService struct {
	pb.UnimplementedTestServiceServer
}

func (grpcService) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s := r.GetResponseStatus(); s.GetCode() != 0 {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	if r.GetPayload() == nil { // a call that waits for its end
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return &pb.SimpleResponse{Payload: r.GetPayload()}, nil
}

func (grpcService) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}

func serveGRPC(l net.Listener) (stop func()) {
	server := grpc.NewServer()
	pb.RegisterTestServiceServer(server, grpcService{})
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	return func() { server.Stop(); <-done }
}

func callGRPC(ctx context.Context, dial Dial, conns int) error {
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { errs[i] = grpcSession(ctx, dial) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func grpcSession(ctx context.Context, dial Dial) (err error) {
	cc, err := grpc.NewClient("passthrough:///peer",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cc.Close()) }()
	client := pb.NewTestServiceClient(cc)
	for _, n := range []int{0, 1, 1000, 1 << 20} {
		body := bytes.Repeat([]byte{7}, n)
		r, err := client.UnaryCall(ctx, &pb.SimpleRequest{Payload: &pb.Payload{Body: body}})
		if err != nil || !bytes.Equal(r.GetPayload().GetBody(), body) {
			return fmt.Errorf("grpc: a call with %d bytes returned %d: %w", n, len(r.GetPayload().GetBody()), err)
		}
	}
	return errors.Join(grpcStatus(ctx, client), grpcDeadline(ctx, client), grpcStream(ctx, client))
}

func grpcStatus(ctx context.Context, client pb.TestServiceClient) error {
	_, err := client.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: int32(codes.DataLoss), Message: "on purpose"}})
	if s := status.Convert(err); s.Code() != codes.DataLoss || s.Message() != "on purpose" {
		return fmt.Errorf("grpc: the status arrived as %w", err)
	}
	return nil
}

func grpcDeadline(ctx context.Context, client pb.TestServiceClient) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := client.UnaryCall(ctx, &pb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("grpc: a call past its deadline returned %w", err)
	}
	return nil
}

func grpcStream(ctx context.Context, client pb.TestServiceClient) error {
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for i := range 50 {
		body := bytes.Repeat([]byte{byte(i)}, i*100)
		if err := stream.Send(&pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: body}}); err != nil {
			return err
		}
		r, err := stream.Recv()
		if err != nil || !bytes.Equal(r.GetPayload().GetBody(), body) {
			return fmt.Errorf("grpc: message %d of a stream: %w", i, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("grpc: the stream's end arrived as %w", err)
	}
	return nil
}
