// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// serverStream is a call that the peer has made: its context, its transport
// stream, and for a streaming method its grpc.ServerStream.
type serverStream struct {
	c        *conn
	id       uint32
	m        *method
	peer     *peer.Peer
	deadline time.Time
	pairs    rpcwire.Pairs
	subtype  string
	encoding string
	codec    encoding.CodecV2
	comp     encoding.Compressor
	out      outflow
	inline   atomic.Int32
	started  bool // of the reader's holder: the handler runs, or has run
	brought  bool // files came with the call
	stats    *callStats
	decoding time.Duration // what parsing a large message has taken
	pledged  *message      // the request, if it is lent: then c.pledges is held to use it

	in *inbox // nil: the request came whole, with the call

	cmu   sync.Mutex // the context
	cause error
	done  chan struct{}
	timer *time.Timer
	after map[*int]func()
	md    metadata.MD
	files []*os.File

	hmu        sync.Mutex // what goes back beside the messages
	header     metadata.MD
	trailer    metadata.MD
	headerSent bool
	verdict    *status.Status // of a stream: what it ends with whatever its handler says
}

var _ grpc.ServerStream = (*streamView)(nil)

// transportStream is a serverStream as grpc.ServerTransportStream.
type transportStream serverStream

func (t *transportStream) Method() string { return t.m.full }
func (t *transportStream) SetHeader(md metadata.MD) error {
	return (*serverStream)(t).setHeader(md)
}
func (t *transportStream) SendHeader(md metadata.MD) error {
	return (*serverStream)(t).sendHeader(md)
}
func (t *transportStream) SetTrailer(md metadata.MD) error {
	(*serverStream)(t).setTrailer(md)
	return nil
}

// onOpen is called by the reader's holder.
func (c *conn) onOpen(h rpcwire.Head, p []byte) (mine bool, err error) {
	r, err := c.parseOpening(h.Flags, p)
	if err != nil {
		return true, err
	}
	if n := len(r.Metadata) + len(r.Subtype) + len(r.Encoding); n > c.limits.MaxHeader || len(r.Name) > maxName {
		return true, errHeaderSize(n+len(r.Name), c.limits.MaxHeader)
	}
	if h.Flags&rpcwire.FlagMessage != 0 {
		if err := c.spend(len(r.Rest)); err != nil {
			return true, err
		}
	}
	m, err := c.method(&r)
	if err != nil {
		return true, err
	}
	s := &serverStream{c: c, id: h.Stream, m: m, peer: c.peer}
	s.out.id, s.out.credit = h.Stream, int(c.hello.Window)
	if r.Files > 0 {
		if len(c.files) < r.Files {
			return true, fmt.Errorf("%w: files that did not come", rpcwire.ErrFrame)
		}
		s.brought = true
		s.files = append(s.files, c.files[:r.Files]...)
		c.files = c.files[r.Files:]
	}
	refuse, err := c.admit(h.Stream, s)
	if err != nil || refuse {
		s.dropFiles()
	}
	if err != nil {
		return true, err
	}
	if refuse {
		c.w.control(rpcwire.Close, rpcwire.FlagRefused|rpcwire.FlagStatus, h.Stream,
			(&rpcwire.Closing{Flags: rpcwire.FlagStatus, Code: uint32(codes.Unavailable), Text: []byte("the server is stopping")}).Append(nil))
		return true, nil
	}
	if h.Flags&rpcwire.FlagTimeout != 0 {
		s.deadline = c.now().Add(r.Timeout)
	}
	if h.Flags&rpcwire.FlagExtra != 0 {
		s.pairs = append(rpcwire.Pairs(nil), r.Metadata...)
		s.subtype, s.encoding = string(r.Subtype), string(r.Encoding)
	}
	return s.begin(h.Flags, r.Rest)
}

// method finds the method that an opening means.
func (c *conn) method(r *rpcwire.Opening) (*method, error) {
	if r.Flags&rpcwire.FlagNamed == 0 {
		if r.Method == 0 || int(r.Method) > len(c.methods) {
			return nil, fmt.Errorf("%w: method number %d", rpcwire.ErrFrame, r.Method)
		}
		return c.methods[r.Method-1], nil
	}
	m := c.serves.find(string(r.Name))
	if r.Method != 0 {
		if int(r.Method) != len(c.methods)+1 || r.Method > maxMethods {
			return nil, fmt.Errorf("%w: method number %d", rpcwire.ErrFrame, r.Method)
		}
		c.methods = append(c.methods, m)
	}
	return m, nil
}

// begin starts the handler, or waits for its message.
func (s *serverStream) begin(flags uint8, first []byte) (mine bool, err error) {
	if st := s.unusable(); st != nil {
		s.started = true
		if s.m.missing == nil || len(s.c.serves.stats) == 0 {
			s.close(st, nil)
			return true, nil
		}
		s.in = newInbox(&s.c.limits)
		go s.runMissing() // stats handlers are a program's
		return s.takeIn(flags, first)
	}
	if s.m.unary != nil && flags&(rpcwire.FlagMessage|rpcwire.FlagPart|rpcwire.FlagEnd) == rpcwire.FlagMessage|rpcwire.FlagEnd && len(first) <= s.c.limits.MaxMessage {
		m := message{b: first, compressed: flags&rpcwire.FlagCompressed != 0}
		s.started = true
		return s.startUnary(m)
	}
	s.in = newInbox(&s.c.limits)
	s.out.wake = make(chan struct{}, 1)
	if s.m.stream != nil {
		s.started = true
		s.c.heardOf++
		s.c.serves.enter()
		go s.runStream()
	}
	return s.takeIn(flags, first)
}

// runMissing ends a call to a method that is not there.
func (s *serverStream) runMissing() {
	st := s.m.missing
	func() {
		defer func() {
			if p := recover(); p != nil {
				st = s.panicked(p)
			}
		}()
		s.halfServeStats()
	}()
	s.close(st, nil)
}

// unusable is why no handler can take the call.
func (s *serverStream) unusable() *status.Status {
	if s.m.missing != nil {
		return s.m.missing
	}
	if s.subtype != "" {
		if s.codec = codecFor(s.subtype); s.codec == nil {
			return status.Newf(codes.Internal, "no codec registered for content-subtype %s", s.subtype)
		}
	}
	if s.encoding != "" {
		if s.comp = encoding.GetCompressor(s.encoding); s.comp == nil {
			return status.Newf(codes.Unimplemented, "grpc: Decompressor is not installed for grpc-encoding %q", s.encoding)
		}
	}
	return nil
}

func (s *serverStream) onMessage(h rpcwire.Head, p []byte) (mine bool, err error) {
	return s.takeIn(h.Flags, p)
}

// takeIn takes in a part of a message, or the caller's end.
func (s *serverStream) takeIn(flags uint8, b []byte) (mine bool, err error) {
	if s.in == nil {
		return true, errWindow // more than the one request
	}
	s.in.mu.Lock()
	if flags&rpcwire.FlagMessage != 0 {
		err = s.in.add(flags, b)
	} else if s.in.ended && flags&rpcwire.FlagEnd != 0 {
		err = errWindow
	}
	if flags&rpcwire.FlagEnd != 0 {
		if s.in.need > 0 {
			err = rpcwire.ErrFrame
		}
		s.in.ended = true
	}
	if err != nil {
		s.in.mu.Unlock()
		return true, err
	}
	n := s.in.credit()
	var m message
	one, ready := false, false
	if !s.started && (s.in.ended || s.in.fail != nil) {
		s.started = true
		m, one = s.in.take()
		ready = one && s.in.pending() == 0 && s.in.fail == nil
	} else if s.m.stream != nil && (s.in.need == 0 || s.in.fail != nil) { // else there is nothing to take yet
		s.c.heardOf++
		select {
		case s.in.wake <- struct{}{}:
		default:
		}
	}
	fail := s.in.fail
	begun := s.started && s.m.unary != nil
	s.in.mu.Unlock()
	if n > 0 {
		s.c.w.controlFor(&s.out, rpcwire.Window, u32(n))
	}
	switch {
	case !begun:
		return true, nil
	case ready:
		return s.startUnary(m)
	case fail != nil:
		s.close(status.Convert(fail), nil)
	case one:
		s.close(status.Convert(errManyRequests), nil)
	default:
		s.close(status.Convert(errNoRequest), nil)
	}
	m.free()
	return true, nil
}

// startUnary runs the handler here or in a goroutine. m may lie in the
// reader's buffer.
func (s *serverStream) startUnary(m message) (mine bool, err error) {
	s.c.serves.enter()
	if !s.m.pace.promoted() || s.c.w.try == nil {
		m.own()
		s.c.heardOf++
		go s.runUnary(time.Time{}, &m)
		return true, nil
	}
	start := s.c.now() // as the holder, which from here on the guard may end
	s.inline.Store(isInline)
	s.pledge(&m)
	s.c.watch(s)
	end := s.runUnary(start, &m)
	if !s.inline.CompareAndSwap(isInline, isFinished) {
		return false, nil
	}
	s.c.clock = end
	return true, nil
}

// runUnary runs the handler, from start on or, if that is zero, from now, and
// says when it has ended.
func (s *serverStream) runUnary(start time.Time, m *message) (end time.Time) {
	defer s.c.serves.leave()
	if start.IsZero() {
		start = time.Now()
	}
	reply, st := s.handle(m)
	end = time.Now()
	took := end.Sub(start) - s.decoding // which is as long as the message, and not for the method to answer for
	s.freeRequest(m)
	s.m.pace.ran(took)
	if s.inline.Load() == isInline {
		s.c.running.CompareAndSwap(s, nil) // the guard may hand the role on right now
	}
	s.close(st, reply)
	return end
}

// handle runs the handler of a unary call.
func (s *serverStream) handle(m *message) (reply any, st *status.Status) {
	defer func() {
		if p := recover(); p != nil {
			reply, st = nil, s.panicked(p)
		}
	}()
	ctx := s.serveStats(stats.Begin{})
	if st := s.authorize(); st != nil {
		return nil, st
	}
	r := s.c.serves
	reply, err := s.m.unary.Handler(s.m.service.impl, ctx, func(v any) error {
		err := s.parse(m, v)
		if err == nil {
			s.stats.got(v, m)
		}
		return err
	}, r.unary)
	if err != nil {
		return nil, toStatus(err)
	}
	return reply, nil
}

// decode parses the request.
func (s *serverStream) decode(m *message, v any) error {
	if len(m.b) >= small {
		from := time.Now()
		defer func() { s.decoding = time.Since(from) }()
	}
	return decode(s.codec, s.encoding, s.c.limits.MaxMessage, m, v, "error unmarshalling request")
}

func (s *serverStream) panicked(p any) *status.Status {
	s.c.logger.Error("panic in a handler", "method", s.m.full, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return status.Newf(codes.Internal, "panic in the handler of %s", s.m.full)
}

// runStream runs a streaming handler.
func (s *serverStream) runStream() {
	defer s.c.serves.leave()
	s.close(s.verdictOr(s.handleStream()), nil)
}

func (s *serverStream) handleStream() (st *status.Status) {
	defer func() {
		if p := recover(); p != nil {
			st = s.panicked(p)
		}
	}()
	r, d := s.c.serves, s.m.stream
	v := &streamView{serverStream: s, ctx: s.serveStats(stats.Begin{IsClientStream: d.ClientStreams, IsServerStream: d.ServerStreams})}
	if st := s.authorize(); st != nil {
		return st
	}
	if r.stream == nil {
		return toStatus(d.Handler(s.m.service.impl, v))
	}
	info := &grpc.StreamServerInfo{FullMethod: s.m.full, IsClientStream: d.ClientStreams, IsServerStream: d.ServerStreams}
	return toStatus(r.stream(s.m.service.impl, v, info, d.Handler))
}

// onReset is the caller's cancellation.
func (s *serverStream) onReset() {
	s.cancel(context.Canceled)
	s.c.w.halt(&s.out, status.Error(codes.Canceled, "context canceled"))
	if !s.started {
		s.started = true
		s.close(status.New(codes.Canceled, "context canceled"), nil)
	}
}
