// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

func big(n int) string { return strings.Repeat("b", n) }

var limitPlays = []play{
	{"limit/request over the default", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("called")
			return response("ok"), nil
		}
		s.duplex = s.echo
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(big(5<<20)))
		s.saw("%s", outcome(err))
		_, err = c.UnaryCall(s.ctx, request("small"))
		s.saw("%s", outcome(err))
		stream, err := c.FullDuplexCall(s.ctx)
		if err == nil {
			_ = stream.Send(asked(big(5 << 20)))
		}
		s.drain(stream, err)
	}},
	{"limit/answer over the default", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return response(big(5 << 20)), nil
		}
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			return stream.Send(answer(big(5 << 20)))
		}
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
		stream, err := c.StreamingOutputCall(s.ctx, asked(""))
		if err == nil {
			_, err = stream.Recv()
		}
		s.saw("%s", outcome(err))
		r, err := c.UnaryCall(s.ctx, request(""), grpc.MaxCallRecvMsgSize(6<<20))
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
	}},
	{"limit/exactly", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return &pb.SimpleResponse{Payload: r.GetPayload()}, nil
		}
		s.options = ServerOptions{MaxRecv: 1000}
		c := s.start()
		for n := 985; n <= 1000; n++ { // the payload's own bytes and a few around it
			_, err := c.UnaryCall(s.ctx, request(big(n)))
			s.saw("%d: %s", n, outcome(err))
			_, err = c.UnaryCall(s.ctx, request(big(n-50)), grpc.MaxCallRecvMsgSize(n-44))
			s.saw("%d: %s", n, outcome(err))
		}
	}},
	{"limit/what the client sends", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response("ok"), nil }
		s.duplex = s.echoQuietly
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(big(2000)), grpc.MaxCallSendMsgSize(1000))
		s.saw("%s", outcome(err))
		stream, err := c.FullDuplexCall(s.ctx, grpc.MaxCallSendMsgSize(1000))
		if err == nil {
			err = stream.Send(asked(big(2000)))
		}
		s.saw("%s", outcome(err))
	}},
	{"limit/what the server sends", func(s *scene) {
		s.options = ServerOptions{MaxSend: 1000}
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response(big(2000)), nil }
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			err := stream.Send(answer(big(2000)))
			s.did("%s", outcome(err))
			return err
		}
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
		stream, err := c.StreamingOutputCall(s.ctx, asked(""))
		s.drain(stream, err)
	}},
}
