// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// streamView is a serverStream as its streaming handler sees it.
type streamView struct {
	*serverStream
	ctx      context.Context
	received bool // a message, by RecvMsg
}

// Context implements grpc.ServerStream.
func (v *streamView) Context() context.Context { return v.ctx }

// SetHeader implements grpc.ServerStream.
func (v *streamView) SetHeader(md metadata.MD) error { return v.setHeader(md) }

// SendHeader implements grpc.ServerStream.
func (v *streamView) SendHeader(md metadata.MD) error { return v.sendHeader(md) }

// SetTrailer implements grpc.ServerStream.
func (v *streamView) SetTrailer(md metadata.MD) { v.setTrailer(md) }

// SendMsg implements grpc.ServerStream.
func (v *streamView) SendMsg(msg any) error {
	err := v.send(msg)
	v.judge(err)
	return err
}

func (v *streamView) send(msg any) error {
	s := v.serverStream
	s.hmu.Lock()
	sent := s.headerSent
	s.hmu.Unlock()
	if !sent {
		if err := s.sendHeaderQuietly(); err != nil {
			return err
		}
	}
	if direct, ok := plainProto(s.codec, msg); ok && s.comp == nil {
		if n := proto.Size(direct); s.c.w.direct(n) && n <= s.c.limits.MaxSendMessage {
			sent, err := s.c.w.sendDirect(&s.out, direct, n, 0)
			if sent {
				s.stats.sent(msg, n, n)
			}
			if sent || err != nil {
				return err
			}
		}
	}
	m, err := encode(s.codec, s.comp, msg)
	if err == nil {
		err = checkSend(len(m.b), s.c.limits.MaxSendMessage)
	}
	if err != nil {
		return err
	}
	n, packed := m.sizes()
	if err := s.c.sendMessage(s, &s.out, m, false); err != nil {
		if s.Err() != nil {
			return toStatus(s.Err()).Err()
		}
		return status.Convert(err).Err()
	}
	s.stats.sent(msg, n, packed)
	return nil
}

// sendHeaderQuietly queues the header before the first message.
func (s *serverStream) sendHeaderQuietly() error {
	err := s.sendHeader(nil)
	if errors.Is(err, errHeaderSent) {
		return nil
	}
	return err
}

// RecvMsg implements grpc.ServerStream.
func (v *streamView) RecvMsg(msg any) error {
	err := v.recv(msg)
	v.judge(err)
	return err
}

// recv takes one message. A caller that streams none sends exactly one, and its
// end is waited for.
func (v *streamView) recv(msg any) error {
	s, only := v.serverStream, !v.m.stream.ClientStreams
	m, err := s.next()
	if err != nil {
		if err == io.EOF && only && !v.received {
			return errNoRequest
		}
		return err
	}
	v.received = true
	err = decode(s.codec, s.encoding, s.in.max, &m, msg, "failed to unmarshal the received message")
	if err == nil {
		s.stats.got(msg, &m)
	}
	m.free()
	if err != nil || !only {
		return err
	}
	more, err := s.next()
	if err == io.EOF {
		return nil
	}
	if err == nil {
		more.free()
		return errManyRequests
	}
	return err
}

// What grpc-go says to a caller that does not send exactly one request.
var (
	errNoRequest    = status.Error(codes.Internal, "cardinality violation: received no request message from non-client-streaming RPC")
	errManyRequests = status.Error(codes.Internal, "cardinality violation: received multiple request messages for non-client-streaming RPC")
)

// next waits for the caller's next message. io.EOF is the end of them.
func (s *serverStream) next() (message, error) {
	for {
		s.in.mu.Lock()
		m, ok := s.in.take()
		ended, fail, n := s.in.ended, s.in.fail, s.in.credit()
		s.in.mu.Unlock()
		if n > 0 {
			s.c.w.controlFor(&s.out, rpcwire.Window, u32(n))
		}
		switch {
		case ok:
			return m, nil
		case fail != nil:
			return message{}, fail
		case s.Err() != nil:
			return message{}, toStatus(s.Err()).Err()
		case ended:
			return message{}, io.EOF
		}
		select {
		case <-s.in.wake:
		case <-s.Done():
		}
	}
}

// judge notes that a message could not be received or sent. As with grpc-go it
// is what the caller is told, whatever the handler makes of it.
func (s *serverStream) judge(err error) {
	if err == nil || err == io.EOF {
		return
	}
	s.hmu.Lock()
	defer s.hmu.Unlock()
	if s.verdict == nil {
		s.verdict = toStatus(err)
	}
}

// verdictOr is how a stream ends whose handler has returned st.
func (s *serverStream) verdictOr(st *status.Status) *status.Status {
	s.hmu.Lock()
	defer s.hmu.Unlock()
	if s.verdict != nil {
		return s.verdict
	}
	return st
}
