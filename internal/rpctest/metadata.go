// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// receiver is the reading side of a client's stream.
type receiver interface {
	grpc.ClientStream
	Recv() (*pb.StreamingOutputCallResponse, error)
}

// drain reads a stream to its end.
func (s *scene) drain(stream receiver, err error) {
	if err != nil {
		s.saw("not opened: %s", outcome(err))
		return
	}
	for {
		r, err := stream.Recv()
		if err == nil {
			s.saw("message %s", short(r.GetPayload()))
			continue
		}
		header, headerErr := stream.Header()
		s.saw("end %s; header %s %s; trailer %s", ended(err), told(header), ended(headerErr), told(stream.Trailer()))
		return
	}
}

// ended is the end of a stream as text.
func ended(err error) string {
	if errors.Is(err, io.EOF) {
		return "EOF"
	}
	return outcome(err)
}

var metadataPlays = []play{
	{"metadata/to the server", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("%s", incoming(ctx))
			return response(""), nil
		}
		s.duplex = func(stream duplexStream) error {
			s.did("%s", incoming(stream.Context()))
			return nil
		}
		c := s.start()
		for _, md := range []metadata.MD{
			nil,
			metadata.Pairs("one", "1"),
			metadata.Pairs("Mixed-Case", "A", "mixed-case", "B", "mixed-case", "A"),
			metadata.Pairs("raw-bin", "\x00\x01\xff", "raw-bin", ""),
			metadata.Pairs("empty", "", "spaces", " inside it "),
			metadata.Pairs("long", strings.Repeat("x", 4000)),
			metadata.Pairs("grpc-status", "5", "grpc-mine", "x"),
			metadata.Pairs("authorization", "Bearer abc"),
		} {
			_, err := c.UnaryCall(metadata.NewOutgoingContext(s.ctx, md), request(""))
			s.saw("%s", outcome(err))
			stream, err := c.FullDuplexCall(metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(s.ctx, md), "more", "yes"))
			s.drain(stream, err)
		}
	}},
	{"metadata/what may not be sent", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response(""), nil }
		c := s.start()
		for _, md := range []metadata.MD{{"bad key": {"x"}}, {"key": {"not\nprintable"}}, {"key": {"ünicode"}}, {"": {"x"}}, {":path": {"x"}}} {
			_, err := c.UnaryCall(metadata.NewOutgoingContext(s.ctx, md), request(""))
			s.saw("%v: %s", md, code(err))
		}
	}},
	{"metadata/header and trailer", func(s *scene) {
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			s.did("set %s", outcome(grpc.SetHeader(ctx, metadata.Pairs("a", "1", "b-bin", "\x00\xff"))))
			s.did("set %s", outcome(grpc.SetHeader(ctx, metadata.Pairs("a", "2"))))
			s.did("send %s", outcome(grpc.SendHeader(ctx, metadata.Pairs("c", "3"))))
			s.did("send again %v", grpc.SendHeader(ctx, metadata.Pairs("d", "4")) != nil)
			s.did("set after %v", grpc.SetHeader(ctx, metadata.Pairs("e", "5")) != nil)
			s.did("trailer %s", outcome(grpc.SetTrailer(ctx, metadata.Pairs("t", "1"))))
			s.did("trailer %s", outcome(grpc.SetTrailer(ctx, metadata.Pairs("t", "2", "u-bin", "\x01"))))
			return response("ok"), nil
		}
		c := s.start()
		var header, trailer metadata.MD
		r, err := c.UnaryCall(s.ctx, request(""), grpc.Header(&header), grpc.Trailer(&trailer))
		s.saw("%s %s %s %s", short(r.GetPayload()), outcome(err), told(header), told(trailer))
	}},
	{"metadata/header comes before the messages", func(s *scene) {
		more := make(chan struct{})
		s.duplex = func(stream duplexStream) error {
			if err := stream.SendHeader(metadata.Pairs("early", "yes")); err != nil {
				return err
			}
			select {
			case <-more:
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
			stream.SetTrailer(metadata.Pairs("late", "yes"))
			return stream.Send(answer("last"))
		}
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		if err != nil {
			s.saw("%s", outcome(err))
			return
		}
		header, err := stream.Header()
		s.saw("%s %s", told(header), outcome(err))
		close(more)
		s.drain(stream, nil)
	}},
	{"metadata/header with the first message", func(s *scene) {
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			s.did("set %s", outcome(stream.SetHeader(metadata.Pairs("x", "1"))))
			s.did("message %s", outcome(stream.Send(answer("one"))))
			s.did("set after %v", stream.SetHeader(metadata.Pairs("y", "2")) != nil)
			s.did("send after %v", stream.SendHeader(metadata.Pairs("y", "2")) != nil)
			return stream.Send(answer("two"))
		}
		c := s.start()
		stream, err := c.StreamingOutputCall(s.ctx, asked(""))
		s.drain(stream, err)
	}},
	{"metadata/header of a stream without messages", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			_ = stream.SetHeader(metadata.Pairs("only", "header"))
			stream.SetTrailer(metadata.Pairs("only", "trailer"))
			return nil
		}
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		s.drain(stream, err)
	}},
	{"metadata/header and trailer options of a stream", func(s *scene) {
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			_ = stream.SetHeader(metadata.Pairs("h", "1"))
			stream.SetTrailer(metadata.Pairs("t", "1"))
			return status.Error(codes.OutOfRange, "far")
		}
		c := s.start()
		var header, trailer metadata.MD
		stream, err := c.StreamingOutputCall(s.ctx, asked(""), grpc.Header(&header), grpc.Trailer(&trailer))
		s.drain(stream, err)
		s.saw("%s %s", told(header), told(trailer))
	}},
}
