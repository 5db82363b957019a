// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// echo sends each message back, and notes the end.
func (s *scene) echo(stream duplexStream) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			s.did("received %s", ended(err))
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}

var streamPlays = []play{
	{"stream/server's, 100 messages", func(s *scene) {
		s.output = func(r *pb.StreamingOutputCallRequest, stream outputStream) error {
			s.did("%s", short(r.GetPayload()))
			for i := range 100 {
				if err := stream.Send(answer(fmt.Sprint(i, strings.Repeat(".", i*50)))); err != nil {
					return err
				}
			}
			return nil
		}
		c := s.start()
		stream, err := c.StreamingOutputCall(s.ctx, asked("go"))
		s.drain(stream, err)
		_, err = stream.Recv()
		s.saw("after its end: %s", ended(err))
	}},
	{"stream/server's, beyond every window", func(s *scene) {
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			for i := range 24 {
				if err := stream.Send(answer(strings.Repeat(string(rune('a'+i)), 1<<20))); err != nil {
					return err
				}
			}
			return nil
		}
		c := s.start()
		stream, err := c.StreamingOutputCall(s.ctx, asked("go"))
		s.drain(stream, err)
	}},
	{"stream/server's, none", func(s *scene) {
		s.output = func(*pb.StreamingOutputCallRequest, outputStream) error { return nil }
		c := s.start()
		stream, err := c.StreamingOutputCall(s.ctx, asked(""))
		s.drain(stream, err)
	}},
	{"stream/client's", func(s *scene) {
		s.input = func(stream inputStream) error {
			total := int32(0)
			for {
				r, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					stream.SetTrailer(metadata.Pairs("n", fmt.Sprint(total)))
					return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: total})
				}
				if err != nil {
					return err
				}
				total += int32(len(r.GetPayload().GetBody()))
			}
		}
		c := s.start()
		for _, n := range []int{0, 1, 50} {
			stream, err := c.StreamingInputCall(s.ctx)
			for i := range n {
				err = errors.Join(err, stream.Send(&pb.StreamingInputCallRequest{Payload: &pb.Payload{Body: make([]byte, i*1000)}}))
			}
			s.saw("sent %v", err)
			r, err := stream.CloseAndRecv()
			s.saw("%v %s %s", r, outcome(err), told(stream.Trailer()))
		}
	}},
	{"stream/client's, answered before its end", func(s *scene) {
		s.input = func(stream inputStream) error {
			_, err := stream.Recv()
			s.did("%s", outcome(err))
			return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: 1})
		}
		c := s.start()
		stream, err := c.StreamingInputCall(s.ctx)
		for err == nil { // until we hear that nobody listens
			err = stream.Send(&pb.StreamingInputCallRequest{Payload: &pb.Payload{Body: make([]byte, 1000)}})
		}
		s.saw("sending ends with %s", ended(err))
		r, err := stream.CloseAndRecv()
		s.saw("%v %s", r, outcome(err))
	}},
	{"stream/client's, refused before its end", func(s *scene) {
		s.input = func(inputStream) error { return status.Error(codes.ResourceExhausted, "enough") }
		c := s.start()
		stream, err := c.StreamingInputCall(s.ctx)
		for err == nil {
			err = stream.Send(&pb.StreamingInputCallRequest{Payload: &pb.Payload{Body: make([]byte, 1000)}})
		}
		s.saw("sending ends with %s", ended(err))
		_, err = stream.CloseAndRecv()
		s.saw("%s", outcome(err))
	}},
	{"stream/client's, no answer", func(s *scene) {
		s.input = func(inputStream) error { return nil }
		c := s.start()
		stream, err := c.StreamingInputCall(s.ctx)
		s.saw("%s", outcome(err))
		_, err = stream.CloseAndRecv()
		s.saw("%s", code(err))
	}},
	{"stream/ping-pong", func(s *scene) {
		s.duplex = s.echo
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		for i := 0; err == nil && i < 100; i++ {
			var r *pb.StreamingOutputCallResponse
			err = stream.Send(asked(fmt.Sprint(i)))
			if err == nil {
				r, err = stream.Recv()
			}
			s.saw("%s", short(r.GetPayload()))
		}
		s.saw("%s, half closed: %s", outcome(err), outcome(stream.CloseSend()))
		s.drain(stream, nil)
	}},
	{"stream/half-close, and the server goes on", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			for {
				r, err := stream.Recv()
				if err != nil {
					s.did("received %s", ended(err))
					break
				}
				s.did("received %s", short(r.GetPayload()))
			}
			_, err := stream.Recv()
			s.did("received again %s", ended(err))
			for i := range 5 {
				if err := stream.Send(answer(fmt.Sprint(i))); err != nil {
					return err
				}
			}
			return status.Error(codes.Aborted, "that was all")
		}
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		s.saw("%s", outcome(err))
		for i := range 3 {
			s.saw("%s", outcome(stream.Send(asked(fmt.Sprint(i)))))
		}
		s.saw("close %s, again %s", outcome(stream.CloseSend()), outcome(stream.CloseSend()))
		s.drain(stream, nil)
	}},
	{"stream/sending after the half-close", func(s *scene) {
		s.duplex = s.echoQuietly
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		s.saw("%s %s", outcome(err), outcome(stream.CloseSend()))
		s.saw("%s", outcome(stream.Send(asked("late"))))
	}},
	{"stream/half-close, and the answer is all there", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			_, err := stream.Recv()
			s.did("received %s", ended(err))
			return stream.Send(answer("bye"))
		}
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		s.saw("%s, close %s", outcome(err), outcome(stream.CloseSend()))
		s.drain(stream, nil)
	}},
	{"stream/the server ends first", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			_, err := stream.Recv()
			s.did("received %s", ended(err))
			return nil
		}
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		s.saw("%s %s", outcome(err), outcome(stream.Send(asked("x"))))
		s.drain(stream, nil)
		s.saw("send after its end: %s", ended(stream.Send(asked("y"))))
		s.saw("close after its end: %s", outcome(stream.CloseSend()))
	}},
	{"stream/both send at once", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			got := make(chan int, 1)
			go func() {
				n := 0
				for {
					if _, err := stream.Recv(); err != nil {
						got <- n
						return
					}
					n++
				}
			}()
			for range 200 {
				if err := stream.Send(answer(strings.Repeat("s", 10000))); err != nil {
					return err
				}
			}
			s.did("received %d", <-got)
			return nil
		}
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		s.saw("%s", outcome(err))
		sent := make(chan error, 1)
		go func() {
			var err error
			for range 200 {
				err = errors.Join(err, stream.Send(asked(strings.Repeat("c", 10000))))
			}
			sent <- errors.Join(err, stream.CloseSend())
		}()
		s.drain(stream, nil)
		s.saw("sent %v", <-sent)
	}},
	{"stream/panic", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			_ = stream.Send(answer("before"))
			panic("on purpose") //nolint:forbidigo // what the scene is about
		}
		c := s.start()
		for range 2 {
			stream, err := c.FullDuplexCall(s.ctx)
			if err != nil {
				s.saw("%s", outcome(err))
				continue
			}
			r, err := stream.Recv()
			s.saw("%s %s", short(r.GetPayload()), outcome(err))
			_, err = stream.Recv()
			s.saw("%s", code(err))
		}
	}},
	{"stream/a slow one does not stop its neighbours", func(s *scene) {
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			for stream.Send(answer(strings.Repeat("x", 1<<16))) == nil {
			}
			return nil
		}
		s.duplex = s.echo
		c := s.start()
		ctx, cancel := withCancel(s)
		defer cancel()
		slow, err := c.StreamingOutputCall(ctx, asked(""))
		s.saw("%s", outcome(err))
		_, err = slow.Recv()
		s.saw("%s", outcome(err))
		for range 10 {
			stream, err := c.FullDuplexCall(s.ctx)
			if err == nil {
				err = errors.Join(stream.Send(asked(strings.Repeat("y", 100000))), stream.CloseSend())
			}
			s.saw("%s", outcome(err))
			s.drain(stream, nil)
		}
	}},
	{"stream/unknown method", func(s *scene) {
		s.start()
		c := pb.NewReconnectServiceClient(s.client)
		_, err := c.Stop(s.ctx, new(pb.Empty))
		s.saw("%s", outcome(err))
		half, err := pb.NewTestServiceClient(s.client).HalfDuplexCall(s.ctx)
		s.drain(half, err)
	}},
}
