// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
)

// chunk is a message ready to be sent.
type chunk struct {
	p    []byte
	last bool   // p is the end of the file, or abandons it
	sum  digest // of the whole file, with its end
	why  error  // why it is abandoned
}

// source reads and hashes beside the sending, two buffers ahead.
type source struct {
	out     chan chunk
	free    chan []byte
	ended   chan struct{}
	regular bool // its reads end by themselves, so it is waited for
}

func newSource(ctx context.Context, in io.Reader, regular bool) *source {
	s := &source{out: make(chan chunk), free: make(chan []byte, 2), ended: make(chan struct{}), regular: regular}
	for range cap(s.free) {
		s.free <- make([]byte, 1+chunkSize)
	}
	go func() {
		defer close(s.ended)
		s.run(ctx, in)
	}()
	return s
}

func (s *source) run(ctx context.Context, in io.Reader) {
	hash := sha256.New()
	var size int64
	for {
		var buf []byte
		select {
		case buf = <-s.free:
		case <-ctx.Done():
			return
		}
		n, err := s.read(in, buf[1:])
		if n > 0 {
			size += int64(n)
			_, _ = hash.Write(buf[1 : 1+n])
			buf[0] = tagData
			if !s.pass(ctx, chunk{p: buf[:1+n]}) {
				return
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			d := digest{size: size}
			hash.Sum(d.sum[:0])
			s.pass(ctx, chunk{p: appendEnd(nil, d), last: true, sum: d})
			return
		}
		if err != nil {
			s.pass(ctx, chunk{p: append([]byte{tagAbandon}, "the sender cannot read it"...), last: true, why: err})
			return
		}
	}
}

// read fills p from a file; a stream is passed on as it comes.
func (s *source) read(in io.Reader, p []byte) (int, error) {
	if s.regular {
		return io.ReadFull(in, p)
	}
	return in.Read(p)
}

func (s *source) pass(ctx context.Context, c chunk) bool {
	select {
	case s.out <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait ends the source, and waits for it if that cannot take for ever.
func (s *source) wait(cancel context.CancelFunc) {
	cancel()
	if s.regular {
		<-s.ended
	}
}
