// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// streamView is a serverStream as its streaming handler sees it.
type streamView struct {
	*serverStream
	ctx context.Context
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
		if n := proto.Size(direct); n < small && n <= s.c.limits.MaxSendMessage {
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
	s := v.serverStream
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
			err := decode(s.codec, s.encoding, s.in.max, &m, msg, "failed to unmarshal the received message")
			if err == nil {
				s.stats.got(msg, &m)
			}
			m.free()
			return err
		case fail != nil:
			return fail
		case s.Err() != nil:
			return toStatus(s.Err()).Err()
		case ended:
			return io.EOF
		}
		select {
		case <-s.in.wake:
		case <-s.Done():
		}
	}
}
