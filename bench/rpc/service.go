// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

// The service is grpc-go's own BenchmarkService, as its stubs come.
const (
	serviceName  = "grpc.testing.BenchmarkService"
	unaryMethod  = "UnaryCall"
	streamMethod = "StreamingFromServer"
)

// What every call carries besides its message, where the peer knows how.
const (
	headerKey   = "x-request-id"
	headerValue = "7f3c0c9e-6d1b-4a53-9c55-0d4f3a1e2b60"
	deadline    = 20 * time.Second
)

// echo is the handler of all peers.
func echo(in *pb.SimpleRequest) *pb.SimpleResponse {
	return &pb.SimpleResponse{Payload: in.GetPayload()}
}

// question asks for an answer as large.
func question(body []byte) *pb.SimpleRequest {
	return &pb.SimpleRequest{Payload: &pb.Payload{Body: body}}
}

// series asks for n messages of a size; the service has no field for n.
func series(size, n int) *pb.SimpleRequest {
	return &pb.SimpleRequest{ResponseSize: int32(size), Payload: &pb.Payload{Body: []byte(strconv.Itoa(n))}}
}

// answers sends what series asked for.
func answers(in *pb.SimpleRequest, send func(*pb.SimpleResponse) error) error {
	n, err := strconv.Atoi(string(in.GetPayload().GetBody()))
	if err != nil {
		return err
	}
	out := &pb.SimpleResponse{Payload: &pb.Payload{Body: make([]byte, in.GetResponseSize())}}
	for range n {
		if err := send(out); err != nil {
			return err
		}
	}
	return nil
}

// service is the implementation for servers that take gRPC's stubs.
type service struct {
	pb.UnimplementedBenchmarkServiceServer
}

func (service) UnaryCall(_ context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return echo(in), nil
}

func (service) StreamingFromServer(in *pb.SimpleRequest, out grpc.ServerStreamingServer[pb.SimpleResponse]) error {
	return answers(in, out.Send)
}
