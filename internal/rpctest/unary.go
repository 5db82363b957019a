// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var unaryPlays = []play{
	{"unary/success", func(s *scene) {
		s.unary = func(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			method, _ := grpc.Method(ctx)
			_, deadline := ctx.Deadline()
			s.did("%s %s %v %s", method, short(r.GetPayload()), deadline, incoming(ctx))
			return response("pong"), nil
		}
		c := s.start()
		r, err := c.UnaryCall(s.ctx, request("ping"))
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
	}},
	{"unary/sizes", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return &pb.SimpleResponse{Payload: r.GetPayload()}, nil
		}
		c := s.start()
		for _, n := range []int{0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, 3 << 20} {
			body := bytes.Repeat([]byte{byte(n), 7}, n/2+1)[:n]
			r, err := c.UnaryCall(s.ctx, &pb.SimpleRequest{Payload: &pb.Payload{Body: body}})
			s.saw("%d: %v %s", n, bytes.Equal(r.GetPayload().GetBody(), body), outcome(err))
		}
	}},
	{"unary/empty messages", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("%v", r)
			return &pb.SimpleResponse{}, nil
		}
		c := s.start()
		r, err := c.UnaryCall(s.ctx, &pb.SimpleRequest{})
		s.saw("%v %s", r, outcome(err))
	}},
	{"unary/nil answer", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return nil, nil }
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", code(err))
	}},
	{"unary/unknown method", func(s *scene) {
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
		err = s.client.Invoke(s.ctx, "/grpc.testing.TestService/Gone", request(""), new(pb.SimpleResponse))
		s.saw("%s", outcome(err))
	}},
	{"unary/unknown service", func(s *scene) {
		s.start()
		err := s.client.Invoke(s.ctx, "/no.such.Service/Method", request(""), new(pb.SimpleResponse))
		s.saw("%s", outcome(err))
	}},
	{"unary/malformed method", func(s *scene) {
		s.start()
		err := s.client.Invoke(s.ctx, "/nothing", request(""), new(pb.SimpleResponse))
		s.saw("%s", code(err))
	}},
	{"unary/panic", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			if short(r.GetPayload()) == `"calm"` {
				return response("calm"), nil
			}
			panic("on purpose") //nolint:forbidigo // what the scene is about
		}
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", code(err))
		r, err := c.UnaryCall(s.ctx, request("calm"))
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
	}},
	{"unary/64 at once", func(s *scene) {
		s.unary = func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return &pb.SimpleResponse{Payload: r.GetPayload()}, nil
		}
		c := s.start()
		wrong := make([]error, 64)
		var wg sync.WaitGroup
		for i := range wrong {
			wg.Go(func() {
				for range 20 {
					body := bytes.Repeat([]byte{byte(i)}, i*1000)
					r, err := c.UnaryCall(s.ctx, &pb.SimpleRequest{Payload: &pb.Payload{Body: body}})
					if err != nil || !bytes.Equal(r.GetPayload().GetBody(), body) {
						wrong[i] = errors.Join(errors.New("not our answer"), err)
					}
				}
			})
		}
		wg.Wait()
		s.saw("%v", errors.Join(wrong...))
	}},
	{"unary/the answer is whole before the deadline", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			deadline, ok := ctx.Deadline()
			s.did("%v %v", ok, time.Until(deadline) > time.Minute)
			return response("in time"), nil
		}
		c := s.start()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		r, err := c.UnaryCall(ctx, request(""))
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
	}},
}

// statusPlays: each code with each way to return it.
func statusPlays() []play {
	all := []play{
		{"status/not a status", failing(errors.New("plain"))},
		{"status/context.DeadlineExceeded", failing(context.DeadlineExceeded)},
		{"status/context.Canceled", failing(context.Canceled)},
		{"status/no message", failing(status.Error(codes.NotFound, ""))},
		{"status/special message", failing(status.Error(codes.Unknown, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈 and 100%\t\n"))},
		{"status/long message", failing(status.Error(codes.Aborted, strings.Repeat("long ", 500)))},
		{"status/unknown number", failing(status.Error(77, "seventy-seven"))},
		{"status/details", failing(detailed())},
		{"status/large details", failing(large(60 << 10))},
		{"status/not UTF-8", failing(status.Error(codes.Unknown, "a\xff\xfeb\xc3"))},
		{"status/very long message", failing(status.Error(codes.Aborted, strings.Repeat("lön%", 10_000)))},
		{"status/wrapped", failing(errors.Join(errors.New("outside"), status.Error(codes.FailedPrecondition, "inside")))},
	}
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		all = append(all, play{"status/" + c.String(), failing(status.Errorf(c, "code %d", c))})
	}
	return all
}

func detailed() error {
	st, err := status.New(codes.InvalidArgument, "with details").WithDetails(request("one"), response("two"))
	if err != nil {
		return err
	}
	return st.Err()
}

// large is a status with so many bytes of details.
func large(n int) error {
	st, err := status.New(codes.ResourceExhausted, "all of it").WithDetails(&pb.Payload{Body: []byte(strings.Repeat("d", n))})
	if err != nil {
		return err
	}
	return st.Err()
}

// failing is a scene in which each kind of method ends with err, after a
// header and with a trailer.
func failing(err error) func(*scene) {
	return func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			_ = grpc.SetHeader(ctx, metadata.Pairs("h", "1"))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("t", "2"))
			return response("unseen"), err
		}
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			_ = stream.Send(answer("seen"))
			stream.SetTrailer(metadata.Pairs("t", "3"))
			return err
		}
		s.duplex = func(duplexStream) error { return err }
		c := s.start()
		var header, trailer metadata.MD
		_, got := c.UnaryCall(s.ctx, request(""), grpc.Header(&header), grpc.Trailer(&trailer))
		s.saw("%s %s %s", outcome(got), told(header), told(trailer))
		stream, got := c.StreamingOutputCall(s.ctx, asked(""))
		s.drain(stream, got)
		both, got := c.FullDuplexCall(s.ctx)
		s.drain(both, got)
	}
}
