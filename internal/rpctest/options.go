// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

var optionPlays = []play{
	{"option/interceptors", func(s *scene) {
		unary := func(name string) grpc.UnaryServerInterceptor {
			return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
				s.did("%s before %s %T", name, info.FullMethod, req)
				r, err := next(ctx, req)
				s.did("%s after %T %s", name, r, outcome(err))
				return r, err
			}
		}
		stream := func(name string) grpc.StreamServerInterceptor {
			return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
				s.did("%s before %s %v %v", name, info.FullMethod, info.IsClientStream, info.IsServerStream)
				err := next(srv, stream)
				s.did("%s after %s", name, outcome(err))
				return err
			}
		}
		client := func(name string) grpc.UnaryClientInterceptor {
			return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				s.saw("%s before %s %v %d", name, method, cc != nil && cc.Target() != "", len(opts))
				err := next(metadata.AppendToOutgoingContext(ctx, "by", name), method, req, reply, cc, opts...)
				s.saw("%s after %s", name, outcome(err))
				return err
			}
		}
		streams := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			s.saw("stream %s %s %v %v %v", method, desc.StreamName, desc.ClientStreams, desc.ServerStreams, cc != nil && cc.Target() != "")
			return next(ctx, desc, cc, method, opts...)
		}
		s.options = ServerOptions{Unary: []grpc.UnaryServerInterceptor{unary("a"), unary("b")}, Stream: []grpc.StreamServerInterceptor{stream("a"), stream("b")}}
		s.dialled = ClientOptions{Unary: []grpc.UnaryClientInterceptor{client("c"), client("d")}, Stream: []grpc.StreamClientInterceptor{streams}}
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("%s", incoming(ctx))
			return response("ok"), nil
		}
		s.duplex = s.echo
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
		both, err := c.FullDuplexCall(s.ctx)
		s.saw("%s %s", outcome(err), outcome(both.CloseSend()))
		s.drain(both, nil)
	}},
	{"option/an interceptor refuses", func(s *scene) {
		s.options.Unary = []grpc.UnaryServerInterceptor{func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			return nil, status.Error(codes.Unauthenticated, "who are you")
		}}
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("called")
			return response("ok"), nil
		}
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
	}},
	{"option/compressed", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return &pb.SimpleResponse{Payload: r.GetPayload()}, nil
		}
		s.duplex = s.echo
		c := s.start()
		r, err := c.UnaryCall(s.ctx, request(big(100000)), grpc.UseCompressor(gzip.Name))
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
		stream, err := c.FullDuplexCall(s.ctx, grpc.UseCompressor(gzip.Name))
		if err == nil {
			err = stream.Send(asked(big(50000)))
		}
		s.saw("%s %s", outcome(err), outcome(stream.CloseSend()))
		s.drain(stream, nil)
		_, err = c.UnaryCall(s.ctx, request("x"), grpc.UseCompressor("no such thing"))
		s.saw("%s", code(err))
	}},
	{"option/credentials of a call", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("%s", incoming(ctx))
			return response("ok"), nil
		}
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""), grpc.PerRPCCredentials(bearer{md: map[string]string{"authorization": "Bearer abc"}}))
		s.saw("%s", outcome(err))
		_, err = c.UnaryCall(s.ctx, request(""), grpc.PerRPCCredentials(bearer{err: status.Error(codes.Unavailable, "no token today")}))
		s.saw("%s", code(err))
		_, err = c.UnaryCall(s.ctx, request(""), grpc.PerRPCCredentials(bearer{err: fmt.Errorf("no token at all")}))
		s.saw("%s", code(err))
	}},
	{"option/who is there", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			p, ok := peer.FromContext(ctx)
			s.did("%v %v", ok, p.Addr != nil)
			return response("ok"), nil
		}
		c := s.start()
		var p peer.Peer
		_, err := c.UnaryCall(s.ctx, request(""), grpc.Peer(&p))
		s.saw("%s %v", outcome(err), p.Addr != nil)
	}},
	{"option/on finish", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			if len(r.GetPayload().GetBody()) == 0 {
				return nil, status.Error(codes.NotFound, "nothing")
			}
			return response("ok"), nil
		}
		c := s.start()
		for _, body := range []string{"x", ""} {
			_, err := c.UnaryCall(s.ctx, request(body), grpc.OnFinish(func(err error) { s.saw("finished %s", outcome(err)) }))
			s.saw("%s", outcome(err))
		}
	}},
	{"option/the transport stream", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			stream := grpc.ServerTransportStreamFromContext(ctx)
			s.did("%s %s", stream.Method(), outcome(stream.SetHeader(metadata.Pairs("a", "b"))))
			s.did("%s", outcome(stream.SetTrailer(metadata.Pairs("c", "d"))))
			return response("ok"), nil
		}
		c := s.start()
		var header, trailer metadata.MD
		_, err := c.UnaryCall(s.ctx, request(""), grpc.Header(&header), grpc.Trailer(&trailer))
		s.saw("%s %s %s", outcome(err), told(header), told(trailer))
	}},
}

// bearer is credentials for any connection.
type bearer struct {
	md  map[string]string
	err error
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return b.md, b.err
}

func (bearer) RequireTransportSecurity() bool { return false }
