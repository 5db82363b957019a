// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// bounded is a channel whose streams wait for each single answer as long as
// --timeout says. Questions about the schema go through it: a server that does
// not answer them would keep us for ever.
type bounded struct {
	channel
	most time.Duration
}

var errNoAnswer = status.Error(codes.DeadlineExceeded, "no answer within --timeout")

// NewStream implements grpc.ClientConnInterface.
func (b bounded) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &boundedStream{ctx: ctx, cancel: cancel, most: b.most}
	err := s.bound(func() (err error) {
		s.ClientStream, err = b.channel.NewStream(ctx, desc, method, opts...)
		return err
	})
	if err != nil {
		cancel(err)
		return nil, err
	}
	return s, nil
}

type boundedStream struct {
	grpc.ClientStream
	ctx    context.Context
	cancel context.CancelCauseFunc
	most   time.Duration
}

// RecvMsg implements grpc.ClientStream.
func (s *boundedStream) RecvMsg(m any) error {
	return s.bound(func() error { return s.ClientStream.RecvMsg(m) })
}

// bound ends the stream where f takes too long.
func (s *boundedStream) bound(f func() error) error {
	timer := time.AfterFunc(s.most, func() { s.cancel(errNoAnswer) })
	defer timer.Stop()
	err := f()
	if err != nil && errors.Is(context.Cause(s.ctx), errNoAnswer) {
		return errNoAnswer
	}
	return err
}
