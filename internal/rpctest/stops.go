// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

var stopPlays = []play{
	{"stop/at once", func(s *scene) {
		began := make(chan struct{}, 1)
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			began <- struct{}{}
			<-ctx.Done()
			s.did("context ended: %v", ctx.Err())
			return nil, ctx.Err()
		}
		c := s.start()
		answered := make(chan error, 1)
		go func() {
			_, err := c.UnaryCall(s.ctx, request(""))
			answered <- err
		}()
		<-began
		s.server.Stop()
		s.saw("%s", code(<-answered))
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("then %s", code(err))
	}},
	{"stop/gracefully, with a call under way", func(s *scene) {
		began, finish := make(chan struct{}, 1), make(chan struct{})
		s.unary = func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			began <- struct{}{}
			<-finish
			s.did("finished, context: %v", ctx.Err())
			return response("done"), nil
		}
		c := s.start()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			r, err := c.UnaryCall(s.ctx, request(""))
			s.saw("%s %s", short(r.GetPayload()), outcome(err))
		}()
		<-began
		stopped := make(chan struct{})
		go func() { defer close(stopped); s.server.GracefulStop() }()
		close(finish)
		<-answered
		<-stopped
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("then %s", code(err))
	}},
	{"stop/gracefully, with a stream under way", func(s *scene) {
		s.duplex = s.echo
		c := s.start()
		stream, err := c.FullDuplexCall(s.ctx)
		s.saw("%s %s", outcome(err), outcome(stream.Send(asked("one"))))
		_, err = stream.Recv()
		s.saw("%s", outcome(err))
		stopped := make(chan struct{})
		go func() { defer close(stopped); s.server.GracefulStop() }()
		for range 10 {
			err = stream.Send(asked("more"))
			if err == nil {
				_, err = stream.Recv()
			}
			s.saw("%s", outcome(err))
		}
		s.saw("%s", outcome(stream.CloseSend()))
		s.drain(stream, nil)
		<-stopped
	}},
	{"stop/gracefully, under load", func(s *scene) {
		var handled, answered, refused, other atomic.Int64
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			handled.Add(1)
			return response("ok"), nil
		}
		c := s.start()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for {
					_, err := c.UnaryCall(s.ctx, request("x"))
					switch status.Code(err) {
					case codes.OK:
						answered.Add(1)
						continue
					case codes.Unavailable:
						refused.Add(1)
					default:
						other.Add(1)
					}
					return
				}
			})
		}
		for tick := time.NewTicker(time.Millisecond); answered.Load() < 100 && s.ctx.Err() == nil; {
			<-tick.C
		}
		s.server.GracefulStop()
		wg.Wait()
		s.saw("each call was handled and answered, or refused: %v, %d refused, %d else", handled.Load() == answered.Load(), refused.Load(), other.Load())
	}},
	{"stop/and wait for it to be ready", func(s *scene) {
		s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return response("ok"), nil }
		c := s.start()
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("%s", outcome(err))
		s.server.Stop()
		for status.Code(err) != codes.Unavailable { // until the client knows
			_, err = c.UnaryCall(s.ctx, request(""))
		}
		ctx, cancel := context.WithTimeout(s.ctx, soon)
		defer cancel()
		_, err = c.UnaryCall(ctx, request(""), grpc.WaitForReady(true))
		s.saw("%s", code(err))
	}},
	{"stop/the client closes", func(s *scene) {
		began := make(chan struct{}, 1)
		s.unary = s.wait(began)
		c := s.start()
		answered := make(chan error, 1)
		go func() {
			_, err := c.UnaryCall(s.ctx, request(""))
			answered <- err
		}()
		<-began
		s.saw("close %s", outcome(s.client.Close()))
		s.saw("%s", code(<-answered))
		_, err := c.UnaryCall(s.ctx, request(""))
		s.saw("then %s", code(err))
		_, err = c.FullDuplexCall(s.ctx)
		s.saw("then %s", code(err))
	}},
}
