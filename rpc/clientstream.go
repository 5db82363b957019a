// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// clientStream is a call that we have made. The grpc.ClientStream rules hold:
// one goroutine may send while another receives.
type clientStream struct {
	in inbox
	ours
}

// ours is a clientStream but for its inbox.
type ours struct {
	c       *conn
	id      uint32
	ctx     context.Context
	cancel  context.CancelFunc // nil: the call is unary
	desc    *grpc.StreamDesc   // nil: the call is unary
	opts    *callOptions
	maxSend int
	out     outflow
	hit     bool // of the reader's holder: something for this stream has come

	header     rpcwire.Pairs // guarded by in.mu
	hasHeader  bool          // guarded by in.mu
	trailer    rpcwire.Pairs // guarded by in.mu
	status     *status.Status
	refused    bool
	closed     bool // guarded by in.mu: the status is known
	heardClose bool // guarded by in.mu: from the peer
	alone      bool // of the caller: nobody else knows the stream any more
	sentEnd    bool
	finished   atomic.Bool // the caller knows the status
	stats      *callStats
	opening    opening
}

var _ grpc.ClientStream = (*clientStream)(nil)

// unaries holds streams of unary calls that are over, to be used again.
var unaries = sync.Pool{New: func() any {
	s := new(clientStream)
	s.in.wake = make(chan struct{}, 1)
	return s
}}

// keptPairs is the most room for metadata that is kept with one.
const keptPairs = 1 << 10

// recycle keeps the stream of a unary call that nobody else can know any more.
func (s *clientStream) recycle() {
	if !s.alone {
		return
	}
	pairs := s.opening.pairs[:0]
	if cap(pairs) > keptPairs {
		pairs = nil
	}
	s.ours = ours{opening: opening{pairs: pairs}}
	s.in.waiting = waiting{wake: s.in.wake, q: s.in.q[:0]}
	unaries.Put(s)
}

func newClientStream(ctx context.Context, c *conn, opts *callOptions, unary bool) *clientStream {
	var s *clientStream
	if unary {
		s = unaries.Get().(*clientStream)
	} else {
		s = new(clientStream)
		s.in.wake = make(chan struct{}, 1)
	}
	s.c, s.ctx, s.opts = c, ctx, opts
	s.in.window, s.in.full = c.limits.StreamWindow, c.limits.StreamWindow
	s.in.max = c.limits.MaxMessage
	switch {
	case opts.maxRecv > 0:
		s.in.max = opts.maxRecv
	case opts.maxRecv < 0:
		s.in.max = 0
	}
	s.maxSend = c.limits.MaxSendMessage
	if opts.hasSend {
		s.maxSend = opts.maxSend
	}
	s.out.credit = int(c.hello.Window)
	return s
}

// rouse wakes the receiver. The caller holds in.mu and the reader's role.
func (s *clientStream) rouse() {
	if s.c.own == s {
		s.hit = true
	}
	if s.unpark() {
		s.c.heardOf++
	}
}

// unpark wakes a parked receiver. The caller holds in.mu.
func (s *clientStream) unpark() bool {
	if !s.in.parked {
		return false
	}
	s.in.parked = false
	s.c.waiters.Add(-1)
	s.in.wake <- struct{}{}
	return true
}

// onMessage is called by the reader's holder.
func (s *clientStream) onMessage(h rpcwire.Head, p []byte) error {
	if err := rpcwire.CheckMessage(h.Flags, p); err != nil || h.Flags&rpcwire.FlagEnd != 0 {
		return errors.Join(err, rpcwire.ErrFrame)
	}
	if err := s.c.spend(len(p)); err != nil {
		return err
	}
	s.in.mu.Lock()
	if s.closed && !s.in.gone {
		s.in.mu.Unlock()
		return rpcwire.ErrFrame
	}
	if s.desc != nil && s.c.own == s && s.in.lend(h.Flags, p) {
		s.hit = true
		s.in.mu.Unlock()
		return nil
	}
	if err := s.in.add(h.Flags, p); err != nil {
		s.in.mu.Unlock()
		return err
	}
	if s.in.need == 0 {
		s.rouse()
	}
	n := s.in.credit()
	s.in.mu.Unlock()
	if n > 0 {
		s.c.w.controlFor(&s.out, rpcwire.Window, u32(n))
	}
	return nil
}

func (s *clientStream) onHeader(p []byte) error {
	pairs := rpcwire.Pairs(p)
	if err := pairs.Check(); err != nil {
		return err
	}
	if n := len(p); n > s.c.limits.MaxHeader {
		return errHeaderSize(n, s.c.limits.MaxHeader)
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.hasHeader {
		return rpcwire.ErrFrame
	}
	s.setHeader(pairs)
	s.rouse()
	return nil
}

func (s *clientStream) setHeader(pairs rpcwire.Pairs) {
	s.hasHeader = true
	s.header = append(rpcwire.Pairs(nil), pairs...)
}

// onClose is the last that is heard of the stream; it has left the table.
func (s *clientStream) onClose(h rpcwire.Head, p []byte) error {
	r, err := s.c.parseClosing(h.Flags, p)
	if err != nil {
		return err
	}
	if n := len(r.Header) + len(r.Trailer); n > s.c.limits.MaxHeader {
		return errHeaderSize(n, s.c.limits.MaxHeader)
	}
	if h.Flags&rpcwire.FlagMessage != 0 {
		if err := s.c.spend(len(r.Rest)); err != nil {
			return err
		}
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.in.need > 0 && h.Flags&rpcwire.FlagMessage != 0 {
		return rpcwire.ErrFrame
	}
	if h.Flags&rpcwire.FlagMessage != 0 {
		if s.c.own == s && s.in.pending() == 0 && len(r.Rest) <= s.in.max {
			s.in.put(message{b: r.Rest, compressed: h.Flags&rpcwire.FlagCompressed != 0})
		} else if err := s.in.add(h.Flags, r.Rest); err != nil {
			return err
		}
	}
	if h.Flags&rpcwire.FlagHeader != 0 {
		s.setHeader(r.Header)
	}
	s.heardClose = true
	s.refused = h.Flags&rpcwire.FlagRefused != 0
	s.end(statusOf(&r), append(rpcwire.Pairs(nil), r.Trailer...)) // empty: nothing is allocated
	s.rouse()
	return nil
}

// end notes the status, unless there is one. The caller holds in.mu.
func (s *clientStream) end(st *status.Status, trailer rpcwire.Pairs) {
	if s.closed {
		return
	}
	s.closed, s.status, s.trailer = true, st, trailer
	s.in.ended = true
}

// finish ends the stream from our side: nothing more is heard of it.
func (s *clientStream) finish(st *status.Status) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.end(st, nil)
	s.unpark()
}

// abandon cancels the call, unless it is over: then what has come stays to be
// received, for an OK without its answer would be nobody's.
func (s *clientStream) abandon(why error) {
	s.in.mu.Lock()
	over := s.closed
	s.in.mu.Unlock()
	if over {
		return
	}
	s.c.w.halt(&s.out, io.EOF) // first: who hears of the end cannot send any more
	s.in.mu.Lock()
	if s.closed {
		s.in.mu.Unlock()
		return
	}
	s.end(status.FromContextError(why), nil)
	s.unpark()
	s.in.drop()
	s.in.mu.Unlock()
	s.c.w.reset(&s.out)
}

func (s *clientStream) hasMessageOrEnd() bool {
	return s.in.pending() > 0 || s.closed || s.in.fail != nil
}
func (s *clientStream) isClosed() bool    { return s.closed || s.in.fail != nil }
func (s *clientStream) knowsHeader() bool { return s.hasHeader || s.closed }

// Header implements grpc.ClientStream.
func (s *clientStream) Header() (metadata.MD, error) {
	holds, err := s.await(s.ctx, (*clientStream).knowsHeader)
	if holds {
		s.keepLoans()
		s.c.leaveRole()
	}
	if err != nil {
		s.abandon(err)
		return nil, status.FromContextError(err).Err()
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if !s.hasHeader {
		return nil, nil // as grpc-go: RecvMsg has the status
	}
	return toMD(s.header), nil
}

func (s *clientStream) headerMD() metadata.MD {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return toMD(s.header)
}

// Trailer implements grpc.ClientStream.
func (s *clientStream) Trailer() metadata.MD {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return toMD(s.trailer)
}

// Context implements grpc.ClientStream.
func (s *clientStream) Context() context.Context { return s.ctx }

// CloseSend implements grpc.ClientStream.
func (s *clientStream) CloseSend() error {
	if s.sentEnd {
		return nil
	}
	s.sentEnd = true
	if err := s.ctx.Err(); err != nil {
		s.abandon(err) // now: the answer to our end must not overtake it
		return nil
	}
	w := &s.c.w
	w.mu.Lock()
	if s.out.stop != nil {
		w.mu.Unlock()
		return nil
	}
	w.putControl(rpcwire.Message, rpcwire.FlagEnd, s.id, nil)
	w.flushUnlock(true)
	return nil
}

// SendMsg implements grpc.ClientStream.
func (s *clientStream) SendMsg(v any) error {
	if s.sentEnd {
		return status.Error(codes.Internal, "SendMsg called after CloseSend")
	}
	end := !s.desc.ClientStreams
	if direct, ok := plainProto(s.opts.codec, v); ok && s.opts.comp == nil {
		if n := proto.Size(direct); s.c.w.direct(n) && n <= s.maxSend {
			flags := uint8(0)
			if end {
				flags = rpcwire.FlagEnd
			}
			sent, err := s.c.w.sendDirect(&s.out, direct, n, flags)
			if err != nil {
				s.abort(err)
				return err
			}
			if sent {
				s.sentEnd = end
				s.stats.sent(v, n, n)
				return nil
			}
		}
	}
	m, err := encode(s.opts.codec, s.opts.comp, v)
	if err == nil {
		err = checkSend(len(m.b), s.maxSend)
	}
	if err != nil {
		s.abort(err)
		return err
	}
	s.sentEnd = end
	n, packed := m.sizes()
	err = s.c.sendMessage(s.ctx, &s.out, m, end)
	if err != nil {
		if !s.desc.ClientStreams {
			return nil // RecvMsg tells
		}
		return io.EOF
	}
	s.stats.sent(v, n, packed)
	return nil
}

// abort ends the call because of an error of ours.
func (s *clientStream) abort(err error) {
	s.in.mu.Lock()
	over := s.closed
	s.end(status.Convert(err), nil)
	if s.status.Code() == codes.OK {
		s.status = status.Convert(err) // an OK without all messages would be nobody's
	}
	s.unpark()
	s.in.drop()
	s.in.mu.Unlock()
	if !over {
		s.c.w.reset(&s.out)
	}
	s.over(err)
}

func checkSend(n, most int) error {
	if n > most {
		return status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", n, most)
	}
	return nil
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(v any) error {
	err := s.recv(v)
	if err == nil && !s.desc.ServerStreams {
		// The one answer has come: its status must follow.
		switch err = s.recv(nil); err {
		case io.EOF:
			s.over(nil)
			return nil
		case nil:
			err = status.Error(codes.Internal, "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message")
			s.abort(err)
		}
	}
	if err != nil {
		if err == io.EOF && !s.desc.ServerStreams {
			err = status.Error(codes.Internal, "cardinality violation: received no response message from non-server-streaming RPC")
		}
		if err == io.EOF {
			s.over(nil)
		} else {
			s.over(err)
		}
	}
	return err
}

// recv takes the next message into v, or says how the call has ended: io.EOF
// for well.
func (s *clientStream) recv(v any) error {
	holds, err := s.await(s.ctx, (*clientStream).hasMessageOrEnd)
	if err != nil {
		s.abandon(err)
		return status.FromContextError(err).Err()
	}
	s.in.mu.Lock()
	m, ok := s.in.take()
	fail, gone := s.in.fail, s.in.gone
	n := s.in.credit()
	s.in.mu.Unlock()
	if !ok {
		if holds {
			s.c.leaveRole()
		}
		if fail != nil && !gone { // it came before the status, whenever we look
			s.abort(fail)
			return fail
		}
		return s.result()
	}
	if v != nil {
		err = decode(s.opts.codec, s.opts.encoding, s.in.max, &m, v, "failed to unmarshal the received message")
		if err == nil {
			s.stats.got(v, &m)
		}
	}
	m.free()
	if holds {
		s.c.leaveRole()
	}
	if n > 0 {
		s.c.w.controlFor(&s.out, rpcwire.Window, u32(n))
	}
	if err != nil {
		s.abort(err)
	}
	return err
}

// result is the status as an error, io.EOF for OK.
func (s *clientStream) result() error {
	s.in.mu.Lock()
	st := s.status
	s.in.mu.Unlock()
	if st == nil || st.Code() == codes.OK {
		return io.EOF
	}
	return st.Err()
}

// over is called once when the caller knows how the call ended.
func (s *clientStream) over(err error) {
	if !s.finished.CompareAndSwap(false, true) {
		return
	}
	s.opts.report(s, err)
	s.stats.end(err)
	if s.cancel != nil {
		s.cancel()
	}
}
