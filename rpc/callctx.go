// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// A serverStream is its handler's context: it answers for metadata, peer and
// transport stream without being wrapped, and has neither a channel nor a
// timer before somebody asks for Done.
var _ context.Context = (*serverStream)(nil)

var (
	incomingKey = keyOf(func(ctx context.Context) { metadata.FromIncomingContext(ctx) })
	peerKey     = keyOf(func(ctx context.Context) { peer.FromContext(ctx) })
	streamKey   = keyOf(func(ctx context.Context) { grpc.ServerTransportStreamFromContext(ctx) })
)

type servedKey struct{}

// Deadline implements context.Context.
func (s *serverStream) Deadline() (time.Time, bool) { return s.deadline, !s.deadline.IsZero() }

// Done implements context.Context. Who asks is about to wait, so the reader's
// role is handed on.
func (s *serverStream) Done() <-chan struct{} {
	s.handOn()
	s.cmu.Lock()
	defer s.cmu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.cause != nil {
			close(s.done)
		} else if !s.deadline.IsZero() {
			s.timer = time.AfterFunc(time.Until(s.deadline), func() { s.cancel(context.DeadlineExceeded) })
		}
	}
	return s.done
}

// Err implements context.Context.
func (s *serverStream) Err() error {
	s.cmu.Lock()
	err := s.cause
	s.cmu.Unlock()
	if err == nil && !s.deadline.IsZero() && !time.Now().Before(s.deadline) {
		s.cancel(context.DeadlineExceeded)
		err = context.DeadlineExceeded
	}
	return err
}

// Value implements context.Context.
func (s *serverStream) Value(key any) any {
	switch key {
	case incomingKey:
		return s.incoming()
	case peerKey:
		return s.peer
	case streamKey:
		return grpc.ServerTransportStream((*transportStream)(s))
	case servedKey{}:
		return s
	}
	return s.c.tagged.Value(key)
}

// AfterFunc lets context.WithCancel and its like do without a goroutine.
func (s *serverStream) AfterFunc(f func()) func() bool {
	s.Done()
	s.cmu.Lock()
	defer s.cmu.Unlock()
	if s.cause != nil {
		go f()
		return func() bool { return false }
	}
	if s.after == nil {
		s.after = map[*int]func(){}
	}
	key := new(int)
	s.after[key] = f
	return func() bool {
		s.cmu.Lock()
		defer s.cmu.Unlock()
		_, ok := s.after[key]
		delete(s.after, key)
		return ok
	}
}

// cancel ends the context.
func (s *serverStream) cancel(why error) {
	s.cmu.Lock()
	defer s.cmu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = why
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.done != nil {
		close(s.done)
	}
	for _, f := range s.after {
		go f()
	}
	s.after = nil
}

// incoming is the caller's metadata, read when somebody asks.
func (s *serverStream) incoming() metadata.MD {
	s.cmu.Lock()
	defer s.cmu.Unlock()
	if s.md == nil {
		s.md = toMD(s.pairs)
		s.md.Set("content-type", contentType(s.subtype))
		if a := s.c.hello.Authority; a != "" && printable(a) {
			s.md.Set(":authority", a)
		}
		if a := s.c.hello.Agent; a != "" && printable(a) {
			s.md.Set("user-agent", a)
		}
	}
	return s.md
}

func contentType(subtype string) string {
	if subtype == "" {
		return "application/grpc"
	}
	return "application/grpc+" + subtype
}

// handOn gives the reader's role to somebody else if this call's handler runs
// where the call was read.
func (s *serverStream) handOn() {
	if s.inline.Load() == isInline && s.inline.CompareAndSwap(isInline, isHandedOn) {
		s.c.running.CompareAndSwap(s, nil)
		s.redeem()
		s.c.handOn()
	}
}

// handOnFor is handOn for a nested call, whose context comes from a handler's.
func handOnFor(ctx context.Context) {
	if s, ok := ctx.Value(servedKey{}).(*serverStream); ok {
		s.handOn()
	}
}
