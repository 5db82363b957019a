// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// close ends the call with st, nil for OK, and for a unary one with its reply.
func (s *serverStream) close(st *status.Status, reply any) {
	if st == nil && s.m.unary != nil {
		var plain, packed int
		if plain, packed, st = s.reply(reply); st == nil {
			s.stats.sent(reply, plain, packed)
			s.over(nil)
			return
		}
	}
	r := rpcwire.Closing{}
	s.fillClosing(&r, st)
	w := &s.c.w
	w.mu.Lock()
	w.putControl(rpcwire.Close, r.Flags, s.id, r.Append(nil))
	s.retire()
	s.settle()
	s.over(st.Err())
}

// settle sends what has been queued with w.mu held, which it unlocks: the
// reader sends for the handlers that it runs.
func (s *serverStream) settle() {
	if s.inline.Load() == isInline {
		s.c.answers.Store(true)
		s.c.w.mu.Unlock()
		if s.inline.Load() == isInline {
			return
		}
		s.c.w.mu.Lock() // the guard has handed the role on meanwhile
	}
	s.c.w.flushUnlock(true)
}

// retire gives the stream's number free. The caller holds the writer's mu and
// has queued the Close.
func (s *serverStream) retire() {
	s.out.retire()
	s.c.dismiss(s.id)
}

// over lets go of what the call has had.
func (s *serverStream) over(err error) {
	s.cancel(context.Canceled)
	s.dropFiles()
	if s.in != nil {
		s.in.mu.Lock()
		s.in.drop()
		s.in.mu.Unlock()
	}
	s.stats.end(err)
}

func (s *serverStream) fillClosing(r *rpcwire.Closing, st *status.Status) {
	s.hmu.Lock()
	defer s.hmu.Unlock()
	if st != nil {
		fillStatus(r, st)
	}
	var err error
	if !s.headerSent && len(s.header) > 0 {
		r.Flags |= rpcwire.FlagHeader
		r.Header, err = appendPairs(nil, s.header)
	}
	s.headerSent = true
	if len(s.trailer) > 0 && err == nil {
		r.Flags |= rpcwire.FlagTrailer
		r.Trailer, err = appendPairs(nil, s.trailer)
	}
	if n := len(r.Header) + len(r.Trailer); err != nil || n > int(s.c.hello.Header) {
		*r = rpcwire.Closing{}
		fillStatus(r, errHeaderList)
	}
}

// reply sends the answer of a unary call with its OK and returns its sizes, or
// why not. A marshaller that panics is a handler that does.
func (s *serverStream) reply(v any) (plain, packedLen int, st *status.Status) {
	defer func() {
		if p := recover(); p != nil {
			st = s.panicked(p)
		}
	}()
	r, filled := rpcwire.Closing{}, false
	if direct, ok := plainProto(s.codec, v); ok && s.comp == nil {
		n := proto.Size(direct)
		if n < small {
			return n, n, s.replyDirect(direct, n)
		}
		if s.c.w.direct(n) && n <= s.c.limits.MaxSendMessage {
			s.fillClosing(&r, nil)
			filled = true
			if sent, st := s.replyInPlace(&r, direct, n); sent || st != nil {
				return n, n, st
			}
		}
	}
	m, err := encode(s.codec, s.comp, v)
	if err == nil {
		err = checkSend(len(m.b), s.c.limits.MaxSendMessage)
	}
	if err != nil {
		return 0, 0, status.Convert(err)
	}
	plain, packedLen = m.sizes()
	if !filled {
		s.fillClosing(&r, nil)
	}
	s.replyEncoded(&r, m)
	return plain, packedLen, nil
}

// replyEncoded sends an answer at once if the windows allow it.
func (s *serverStream) replyEncoded(r *rpcwire.Closing, m message) {
	w, n := &s.c.w, len(m.b)
	w.mu.Lock()
	switch {
	case n <= rpcwire.MaxPart && min(w.credit, s.out.credit) >= cost(n):
		w.credit -= cost(n)
		w.put(rpcwire.Close, r.Flags|rpcwire.FlagMessage|packed(&m), s.id, r.Append(nil), m.b, m.pooled)
		s.retire()
		s.settle()
	case s.putLong(r, &m):
		w.flushUnlock(s.inline.Load() != isInline)
	default:
		w.mu.Unlock()
		s.replyLong(r, m)
	}
}

// replyInPlace marshals an answer where the peer reads it, if there is room.
func (s *serverStream) replyInPlace(r *rpcwire.Closing, v proto.Message, n int) (sent bool, st *status.Status) {
	w := &s.c.w
	w.mu.Lock()
	h := rpcwire.Head{Kind: rpcwire.Close, Flags: r.Flags | rpcwire.FlagMessage, Stream: s.id}
	var few [mostPrefix]byte
	p, ok := w.placeFor(&s.out, h, r.Append(few[:0]), n)
	if !ok {
		w.mu.Unlock()
		return false, nil
	}
	if err := w.sendPlaceUnlock(p, v, s.inline.Load() != isInline, s.retire); err != nil {
		return false, status.Convert(err)
	}
	return true, nil
}

// putLong queues a long answer that need not wait for the windows. The caller
// holds the writer's mu.
func (s *serverStream) putLong(r *rpcwire.Closing, m *message) bool {
	w := &s.c.w
	if r.Flags&rpcwire.FlagHeader != 0 || len(m.b) <= rpcwire.MaxPart || !w.putParts(&s.out, m, 0) {
		return false
	}
	w.putControl(rpcwire.Close, r.Flags, s.id, r.Append(nil))
	s.retire()
	return true
}

// replyLong sends an answer that must wait for the windows.
func (s *serverStream) replyLong(r *rpcwire.Closing, m message) {
	s.handOn()
	w := &s.c.w
	w.mu.Lock()
	if s.out.wake == nil {
		s.out.wake = make(chan struct{}, 1)
	}
	if r.Flags&rpcwire.FlagHeader != 0 {
		w.putControl(rpcwire.Header, 0, s.id, r.Header)
		r.Flags, r.Header = r.Flags&^rpcwire.FlagHeader, nil
	}
	w.mu.Unlock()
	if err := s.c.sendMessage(s, &s.out, m, false); err != nil {
		*r = rpcwire.Closing{}
		fillStatus(r, toStatus(err)) // cancelled: nobody reads it
	}
	w.mu.Lock()
	w.putControl(rpcwire.Close, r.Flags, s.id, r.Append(nil))
	s.retire()
	w.flushUnlock(true)
}

// replyDirect marshals a small answer where it is sent from.
func (s *serverStream) replyDirect(v proto.Message, n int) *status.Status {
	if err := checkSend(n, s.c.limits.MaxSendMessage); err != nil {
		return status.Convert(err)
	}
	r := rpcwire.Closing{}
	s.fillClosing(&r, nil)
	w := &s.c.w
	w.mu.Lock()
	if min(w.credit, s.out.credit) < cost(n) {
		w.mu.Unlock()
		m, err := encode(nil, nil, v)
		if err != nil {
			return status.Convert(err)
		}
		s.replyLong(&r, m)
		return nil
	}
	at, sent := len(w.tail), false
	defer func() {
		if !sent { // a panic even
			w.tail = w.tail[:at]
			w.mu.Unlock()
		}
	}()
	b := r.Append(rpcwire.AppendHead(w.room(), rpcwire.Head{Kind: rpcwire.Close, Flags: r.Flags | rpcwire.FlagMessage, Stream: s.id}))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, v)
	if err != nil {
		return status.Convert(marshalError(err))
	}
	w.tail = b
	rpcwire.SetLength(b[at:], len(b)-at-rpcwire.HeadSize)
	w.credit -= cost(n)
	sent = true
	s.retire()
	s.settle()
	return nil
}

func (s *serverStream) setHeader(md metadata.MD) error {
	if len(md) == 0 {
		return nil
	}
	if _, err := appendPairs(nil, md); err != nil {
		return err
	}
	s.hmu.Lock()
	defer s.hmu.Unlock()
	if s.headerSent {
		return errHeaderSent
	}
	s.header = metadata.Join(s.header, md)
	return nil
}

// errHeaderList is what grpc-go says of metadata larger than the peer takes.
var errHeaderList = status.New(codes.Internal, "transport: trying to send header list size larger than the limit set by peer")

var errHeaderSent = status.Error(codes.Internal, "transport: SendHeader called multiple times")

func (s *serverStream) sendHeader(md metadata.MD) error {
	if err := s.setHeader(md); err != nil {
		return err
	}
	s.hmu.Lock()
	if s.headerSent {
		s.hmu.Unlock()
		return errHeaderSent
	}
	pairs, err := appendPairs(nil, s.header)
	if err == nil && len(pairs) > int(s.c.hello.Header) {
		err = errHeaderList.Err()
	}
	if err != nil {
		s.hmu.Unlock()
		return err
	}
	s.headerSent = true
	w := &s.c.w
	w.mu.Lock()
	s.hmu.Unlock()
	if s.out.gone {
		w.mu.Unlock()
		return errHeaderSent
	}
	w.putControl(rpcwire.Header, 0, s.id, pairs)
	s.settle()
	return nil
}

func (s *serverStream) setTrailer(md metadata.MD) {
	if len(md) == 0 {
		return
	}
	s.hmu.Lock()
	defer s.hmu.Unlock()
	s.trailer = metadata.Join(s.trailer, md)
}
