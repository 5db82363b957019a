// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
)

// errAgain says that no handler has seen the call: it may be made again on
// another connection.
var errAgain = errors.New("the call was not begun")

// errAttempt is errAgain as stats handlers are told of it: like grpc-go, they
// see each attempt as a call.
var errAttempt = status.Error(codes.Unavailable, errAgain.Error())

func attempt(err error) error {
	if errors.Is(err, errAgain) {
		return errAttempt
	}
	return err
}

// prepare reads from ctx what goes with a call.
func (c *conn) prepare(ctx context.Context, o *opening, method string, opts *callOptions, extra []perRPC) error {
	if len(method) > maxName {
		return status.Errorf(codes.Internal, "a method's name of %d bytes, of at most %d", len(method), maxName)
	}
	o.method = method
	o.deadline, _ = ctx.Deadline()
	var err error
	if len(extra) > 0 || len(opts.creds) > 0 {
		var md metadata.MD
		if md, err = c.credentials(ctx, method, outgoing(ctx), opts, extra); err == nil {
			o.pairs, err = appendPairs(o.pairs, md)
		}
	} else {
		o.pairs, err = appendOutgoing(o.pairs, ctx)
	}
	if err != nil {
		return err
	}
	if most := int(c.hello.Header); len(o.pairs) > most {
		return status.Errorf(codes.Internal, "header list size to send violates the maximum size (%d bytes) set by server", most)
	}
	o.files = attached(ctx)
	if len(o.files) > 0 {
		if _, ok := c.t.(transport.FilePasser); !ok {
			return status.Error(codes.Unimplemented, "this connection cannot carry open files: use a local transport")
		}
		if len(o.files) > transport.MaxFiles {
			return status.Errorf(codes.InvalidArgument, "%d open files, of at most %d", len(o.files), transport.MaxFiles)
		}
	}
	return nil
}

// invoke makes a unary call.
func (c *conn) invoke(ctx context.Context, method string, req, reply any, opts *callOptions, x *extras) error {
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	if c.hello.Streams == 0 {
		return errServesNothing
	}
	handOnFor(ctx)
	var st *callStats
	if len(x.stats) > 0 {
		ctx, st = beginStats(ctx, x.stats, method, opts.wait, stats.Begin{}) // first: it may add metadata
	}
	s := newClientStream(ctx, c, opts, true)
	s.stats = st
	o := &s.opening
	if err := c.prepare(ctx, o, method, opts, x.creds); err != nil {
		st.end(err)
		return err
	}
	s.tellOpening(method)
	err := s.unary(o, req, reply)
	if errors.Is(err, errAgain) {
		st.end(errAttempt)
	} else {
		s.over(err)
	}
	if st == nil {
		s.recycle()
	}
	return err
}

func (s *clientStream) unary(o *opening, req, reply any) error {
	c := s.c
	inPlace := false
	if direct, ok := plainProto(s.opts.codec, req); ok && s.opts.comp == nil && len(o.files) == 0 {
		n := proto.Size(direct)
		if inPlace = n >= small && c.w.direct(n); n < small || inPlace {
			o.direct, o.size = direct, n
		}
	}
	if o.direct == nil {
		if err := o.encode(s, req); err != nil {
			return err
		}
	}
	plain, size := o.m.sizes()
	plain, size = plain+o.size, size+o.size // one of the two is nothing
	if err := checkSend(size, s.maxSend); err != nil {
		return err
	}
	o.has, o.end = true, true
	if err := c.enter(s.ctx, s); err != nil {
		return s.notBegun(err)
	}
	if err := s.begin(o, req, inPlace); err != nil {
		return err
	}
	s.stats.sent(req, plain, size)
	return s.answer(reply)
}

// begin sends the request, in place if that is worth it and there is room.
func (s *clientStream) begin(o *opening, req any, inPlace bool) error {
	c := s.c
	if inPlace {
		sent, err := c.openInPlace(s, o)
		if sent || err != nil {
			return err
		}
		if err := s.encodeLate(o, req); err != nil {
			return err
		}
	}
	later, err := c.open(s.ctx, s, o)
	if err != nil {
		if c.ended.Load() {
			return errAgain
		}
		return err
	}
	if !later {
		return nil
	}
	if o.direct != nil {
		if err := o.encode(s, req); err != nil {
			s.abort(err)
			return err
		}
	}
	if err := c.sendMessage(s.ctx, &s.out, o.m, true); err != nil && s.ctx.Err() != nil {
		s.abandon(s.ctx.Err())
		return status.FromContextError(s.ctx.Err()).Err()
	}
	return nil
}

// encode marshals the request beside the ring.
func (o *opening) encode(s *clientStream, req any) (err error) {
	o.m, err = encode(s.opts.codec, s.opts.comp, req)
	if err == nil {
		o.direct, o.size = nil, 0
	}
	return err
}

// encodeLate is encode for a call that has its place, which it gives back if
// it fails, by a panic even.
func (s *clientStream) encodeLate(o *opening, req any) error {
	done := false
	defer func() {
		if !done {
			s.c.forget(s.id)
		}
	}()
	err := o.encode(s, req)
	done = err == nil
	return err
}

// notBegun is the error of a call that found no place.
func (s *clientStream) notBegun(err error) error {
	if errors.Is(err, errGoaway) {
		return errAgain
	}
	return status.FromContextError(err).Err()
}

// answer waits for the answer of a unary call.
func (s *clientStream) answer(reply any) error {
	holds, err := s.await(s.ctx, (*clientStream).isClosed)
	if err != nil {
		s.abandon(err)
		return status.FromContextError(err).Err()
	}
	s.in.mu.Lock()
	m, ok := s.in.take()
	fail, st, closed, refused, more := s.in.fail, s.status, s.closed, s.refused, s.in.pending() > 0
	s.alone = s.heardClose && !s.in.gone && s.in.need == 0 && !more
	s.in.mu.Unlock()
	switch {
	case fail != nil && (!closed || st.Code() == codes.OK):
		err = fail
	case refused:
		err = errAgain
	case st != nil && st.Code() != codes.OK:
		err = st.Err()
	case more:
		err = status.Error(codes.Internal, "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message")
	case !ok:
		err = status.Error(codes.Internal, "cardinality violation: received no response message from non-server-streaming RPC")
	default:
		err = decode(s.opts.codec, s.opts.encoding, s.in.max, &m, reply, "failed to unmarshal the received message")
		if err == nil {
			s.stats.got(reply, &m)
		}
	}
	m.free()
	if holds {
		s.c.leaveRole()
	}
	if fail != nil && !closed {
		s.abort(fail)
	}
	return err
}

var errServesNothing = status.Error(codes.Unimplemented, "the peer takes no calls on this connection")

// forget gives back a place from which nothing has been sent.
func (c *conn) forget(id uint32) { c.remove(id) }

// newStream makes a streaming call.
func (c *conn) newStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts *callOptions, x *extras) (grpc.ClientStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if c.hello.Streams == 0 {
		return nil, errServesNothing
	}
	handOnFor(ctx)
	var st *callStats
	if len(x.stats) > 0 {
		ctx, st = beginStats(ctx, x.stats, method, opts.wait, stats.Begin{IsClientStream: desc.ClientStreams, IsServerStream: desc.ServerStreams})
	}
	o := new(opening)
	if err := c.prepare(ctx, o, method, opts, x.creds); err != nil {
		st.end(err)
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := newClientStream(ctx, c, opts, false)
	s.cancel, s.desc, s.stats = cancel, desc, st
	s.tellOpening(method)
	if err := c.enter(ctx, s); err != nil {
		cancel()
		err = s.notBegun(err)
		st.end(attempt(err))
		return nil, err
	}
	if _, err := c.open(ctx, s, o); err != nil {
		cancel()
		st.end(errAttempt)
		return nil, errAgain // the connection has ended
	}
	context.AfterFunc(ctx, func() { s.abandon(ctx.Err()) })
	return s, nil
}

var _ = rpcwire.Version
