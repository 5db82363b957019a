// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

func withCancel(s *scene) (context.Context, context.CancelFunc) { return context.WithCancel(s.ctx) }

// soon is a deadline that a call reaches while its handler waits for it.
const soon = 50 * time.Millisecond

// due is a context whose deadline comes when done is closed, however busy the
// machine is. Its Deadline is its parent's, which is later.
type due struct {
	context.Context
	done chan struct{}
}

func (d *due) Done() <-chan struct{} { return d.done }

func (d *due) Err() error {
	select {
	case <-d.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// wait is a handler that waits for its end; began is told first.
func (s *scene) wait(began chan<- struct{}) func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		began <- struct{}{}
		<-ctx.Done()
		s.did("context ended: %v", ctx.Err())
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

var cancelPlays = []play{
	{"deadline/in the handler", func(s *scene) {
		began := make(chan struct{}, 1)
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			began <- struct{}{}
			<-ctx.Done() // by the deadline, or because the client, whose clock is as good, has cancelled
			return nil, ctx.Err()
		}
		c := s.start()
		ctx, cancel := context.WithTimeout(s.ctx, soon)
		defer cancel()
		_, err := c.UnaryCall(ctx, request(""))
		s.saw("%s", code(err)) // the words are the client's or the server's, whoever is first
	}},
	{"deadline/already over", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response(""), nil }
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
		ctx, cancel := context.WithDeadline(s.ctx, time.Now().Add(-time.Second))
		defer cancel()
		_, err = c.UnaryCall(ctx, request(""))
		s.saw("%s", outcome(err))
		_, err = c.FullDuplexCall(ctx)
		s.saw("%s", outcome(err))
	}},
	{"deadline/of a stream", func(s *scene) {
		s.duplex = func(stream duplexStream) error {
			<-stream.Context().Done() // whoever is first says the same
			return stream.Context().Err()
		}
		c := s.start()
		ctx, cancel := context.WithTimeout(s.ctx, soon)
		defer cancel()
		stream, err := c.FullDuplexCall(ctx)
		if err == nil { // or the machine was too busy to begin
			_, err = stream.Recv()
		}
		s.saw("%s", code(err))
	}},
	{"deadline/of a stream that has begun", func(s *scene) {
		began := make(chan struct{}, 1)
		s.duplex = func(stream duplexStream) error {
			began <- struct{}{}
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		c := s.start()
		ctx := &due{Context: s.ctx, done: make(chan struct{})}
		stream, err := c.FullDuplexCall(ctx)
		s.saw("%s", outcome(err))
		<-began
		close(ctx.done)
		_, err = stream.Recv()
		s.saw("%s", code(err))
		s.saw("sending: %s", ended(stream.Send(asked("x"))))
	}},
	{"cancel/before the call", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response(""), nil }
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
		ctx, cancel := withCancel(s)
		cancel()
		_, err = c.UnaryCall(ctx, request(""))
		s.saw("%s", outcome(err))
		_, err = c.FullDuplexCall(ctx)
		s.saw("%s", outcome(err))
	}},
	{"cancel/in the handler", func(s *scene) {
		began := make(chan struct{}, 1)
		s.unary = s.wait(began)
		c := s.start()
		ctx, cancel := withCancel(s)
		go func() { <-began; cancel() }()
		_, err := c.UnaryCall(ctx, request(""))
		s.saw("%s", outcome(err))
	}},
	{"cancel/after the answer", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response("kept"), nil }
		c := s.start()
		ctx, cancel := withCancel(s)
		r, err := c.UnaryCall(ctx, request(""))
		cancel()
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
		r, err = c.UnaryCall(s.ctx, request(""))
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
	}},
	{"cancel/a stream once open", cancelStream(func(_ *scene, _ pb.TestService_FullDuplexCallClient) {})},
	{"cancel/a stream after sending", cancelStream(func(s *scene, stream pb.TestService_FullDuplexCallClient) {
		s.saw("%s", outcome(stream.Send(asked("one"))))
	})},
	{"cancel/a stream after receiving", cancelStream(func(s *scene, stream pb.TestService_FullDuplexCallClient) {
		s.saw("%s", outcome(stream.Send(asked("one"))))
		r, err := stream.Recv()
		s.saw("%s %s", short(r.GetPayload()), outcome(err))
	})},
	{"cancel/a stream after the end", func(s *scene) {
		s.duplex = s.echo
		c := s.start()
		ctx, cancel := withCancel(s)
		stream, err := c.FullDuplexCall(ctx)
		s.saw("%s %s", outcome(err), outcome(stream.CloseSend()))
		s.drain(stream, nil)
		cancel()
		s.drain(stream, nil)
	}},
	{"cancel/a stream half closed", func(s *scene) {
		half := make(chan struct{}, 1)
		s.duplex = func(stream duplexStream) error {
			_, err := stream.Recv()
			s.did("received %s", ended(err))
			half <- struct{}{}
			<-stream.Context().Done()
			s.did("context ended: %v", stream.Context().Err())
			return stream.Context().Err()
		}
		c := s.start()
		ctx, cancel := withCancel(s)
		defer cancel()
		stream, err := c.FullDuplexCall(ctx)
		s.saw("%s %s", outcome(err), outcome(stream.CloseSend()))
		<-half
		cancel()
		_, err = stream.Recv()
		s.saw("%s", outcome(err))
	}},
	{"cancel/a server that is held up", func(s *scene) {
		began := make(chan struct{}, 1)
		s.output = func(_ *pb.StreamingOutputCallRequest, stream outputStream) error {
			for {
				err := stream.Send(answer(big(100000)))
				if err != nil {
					s.did("sending ended: %s", code(err))
					return err
				}
				select {
				case began <- struct{}{}:
				default:
				}
			}
		}
		c := s.start()
		ctx, cancel := withCancel(s)
		defer cancel()
		stream, err := c.StreamingOutputCall(ctx, asked(""))
		s.saw("%s", outcome(err))
		<-began
		cancel() // nobody has read
		for err == nil {
			_, err = stream.Recv()
		}
		s.saw("%s", outcome(err))
	}},
	{"cancel/a client that is held up", func(s *scene) {
		began := make(chan struct{}, 1)
		s.duplex = func(stream duplexStream) error {
			began <- struct{}{}
			<-stream.Context().Done() // reads nothing
			s.did("context ended: %v", stream.Context().Err())
			return nil
		}
		c := s.start()
		ctx, cancel := withCancel(s)
		defer cancel()
		stream, err := c.FullDuplexCall(ctx)
		s.saw("%s", outcome(err))
		sent := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = stream.Send(asked(big(100000)))
			}
			sent <- err
		}()
		<-began
		cancel()
		_, err = stream.Recv()
		s.saw("%s", outcome(err))
		s.saw("sending ended: %v", <-sent != nil)
	}},
	{"cancel/abandoned streams leave room", func(s *scene) {
		s.duplex = s.echoQuietly
		c := s.start()
		for range 300 { // more than a connection may have at once
			ctx, cancel := withCancel(s)
			stream, err := c.FullDuplexCall(ctx)
			if err == nil {
				err = stream.Send(asked("x"))
			}
			cancel()
			if err != nil {
				s.saw("%s", outcome(err))
			}
		}
		stream, err := c.FullDuplexCall(s.ctx)
		s.saw("%s %s", outcome(err), outcome(stream.CloseSend()))
		s.drain(stream, nil)
	}},
	{"cancel/the handler's own error is not lost", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			return nil, status.Error(codes.Canceled, "the server's")
		}
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
	}},
}

// echoQuietly is echo whose end is no part of the story.
func (s *scene) echoQuietly(stream duplexStream) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil //nolint:nilerr // the end
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}

// cancelStream cancels an echoing stream after some of it.
func cancelStream(before func(*scene, pb.TestService_FullDuplexCallClient)) func(*scene) {
	return func(s *scene) {
		began := make(chan struct{}, 1)
		s.duplex = func(stream duplexStream) error {
			began <- struct{}{}
			err := s.echoQuietly(stream) // receiving or sending, whichever it was at
			<-stream.Context().Done()
			s.did("context ended: %v", stream.Context().Err())
			return err
		}
		c := s.start()
		ctx, cancel := withCancel(s)
		defer cancel()
		stream, err := c.FullDuplexCall(ctx)
		if err != nil {
			s.saw("%s", outcome(err))
			return
		}
		<-began
		before(s, stream)
		cancel()
		for err == nil {
			_, err = stream.Recv()
		}
		s.saw("%s", outcome(err))
		var sent error
		for sent == nil {
			sent = stream.Send(asked("late"))
		}
		s.saw("sending: %v", errors.Is(sent, context.Canceled) || sent != nil)
	}
}
