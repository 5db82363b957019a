// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"encoding/binary"
	"sync/atomic"
)

const (
	frameHeader = 8 // length u32, tag u32

	// maxWhole bounds what is written in one piece: the peer copies what is
	// larger while we do.
	maxWhole = 32 << 10
)

func frameWord(tag uint32, n int) uint64 { return uint64(uint32(n)) | uint64(tag)<<32 }

// WriteFrame implements transport.Framer.
func (c *Conn) WriteFrame(ctx context.Context, open *atomic.Bool, tag uint32, p []byte) bool {
	s := c.out.Load()
	return s != nil && s.writeFrame(ctx, open, tag, p)
}

// WriteFrames implements transport.Framer.
func (c *Conn) WriteFrames(ctx context.Context, open *atomic.Bool, tag uint32, ps [][]byte) int {
	if s := c.out.Load(); s != nil {
		return s.writeFrames(ctx, open, tag, ps)
	}
	return 0
}

// ReadFrame implements transport.Framer.
func (c *Conn) ReadFrame(ctx context.Context, open *atomic.Bool, tag uint32, most int, p []byte) (int, bool) {
	if s := c.in.Load(); s != nil {
		return s.readFrame(ctx, open, tag, most, p)
	}
	return 0, false
}

// Frames implements transport.Framer.
func (c *Conn) Frames() bool { return c.Rings() }

func (s *stream) writeFrame(ctx context.Context, open *atomic.Bool, tag uint32, p []byte) bool {
	w := &s.wr
	size := frameHeader + len(p)
	if !w.mu.tryLock() && s.lock(ctx, &w.half, "write", wrExpired) != nil {
		return false
	}
	ok := (open == nil || open.Load()) && s.roomFor(ctx, size)
	if ok {
		b := w.ring.Next()
		binary.LittleEndian.PutUint64(b, frameWord(tag, len(p)))
		copy(b[frameHeader:], p)
		_ = s.publish(size) // a peer that has gone since is the next call's error
		s.count(&w.half, size)
	}
	s.unlock(&w.half)
	return ok
}

// roomFor waits until a frame of size can be written in one piece.
func (s *stream) roomFor(ctx context.Context, size int) bool {
	w := &s.wr
	if s.refusing() || size > maxWhole {
		return false
	}
	return w.ring.Free() >= size || size <= s.maxLoan() && s.awaitSpace(ctx, size, size) == nil
}

// refusing says whether writable would find something.
func (s *stream) refusing() bool {
	const bad = isClosed | isShut | isBroken | isHungUp | wrExpired
	return s.status.Load()&bad != 0 || s.theirs.state.Load()&stateClosed != 0
}

func (s *stream) writeFrames(ctx context.Context, open *atomic.Bool, tag uint32, ps [][]byte) (n int) {
	w := &s.wr
	if !w.mu.tryLock() && s.lock(ctx, &w.half, "write", wrExpired) != nil {
		return 0
	}
	if open == nil || open.Load() {
		for n < len(ps) && s.roomFor(ctx, frameHeader+len(ps[n])) {
			size, m := fill(w.ring.Next(), tag, ps[n:])
			_ = s.publish(size)
			s.count(&w.half, size)
			n += m
		}
	}
	s.unlock(&w.half)
	return n
}

// fill writes as many frames as there is room for, up to a chunk, and returns
// their bytes and number.
func fill(b []byte, tag uint32, ps [][]byte) (size, n int) {
	for _, p := range ps {
		rest := b[size:]
		if len(rest) < frameHeader+len(p) || size >= batchChunk {
			break
		}
		binary.LittleEndian.PutUint64(rest, frameWord(tag, len(p)))
		copy(rest[frameHeader:], p)
		size += frameHeader + len(p)
		n++
	}
	return size, n
}

// batchChunk is how much of a batch is written between two publications.
const batchChunk = 16 << 10

func (s *stream) readFrame(ctx context.Context, open *atomic.Bool, tag uint32, most int, p []byte) (n int, ok bool) {
	r := &s.rd
	if !r.mu.tryLock() && s.lock(ctx, &r.half, "read", rdExpired) != nil {
		return 0, false
	}
	if open == nil || open.Load() {
		n, ok = s.takeFrame(ctx, tag, most, p)
	}
	s.unlock(&r.half)
	return n, ok
}

func (s *stream) takeFrame(ctx context.Context, tag uint32, most int, p []byte) (n int, ok bool) {
	r := &s.rd
	if s.status.Load()&(isClosed|isBroken|rdExpired) != 0 || !s.have(ctx, frameHeader) || r.announced != r.taken {
		return 0, false
	}
	h := binary.LittleEndian.Uint64(r.ring.Next()) // once: the peer may change it
	size := uint64(uint32(h))
	if uint32(h>>32) != tag || size > uint64(most) || size > uint64(s.maxLoan()-frameHeader) {
		return 0, false
	}
	n = int(size)
	if n > len(p) {
		return n, true
	}
	if r.ring.Len() < frameHeader+n && !s.have(ctx, frameHeader+n) || r.announced != r.taken {
		return 0, false
	}
	copy(p, r.ring.Next()[frameHeader:frameHeader+n])
	s.release(frameHeader + n)
	s.count(&r.half, frameHeader+n)
	return n, true
}

// have waits until n bytes can be read.
func (s *stream) have(ctx context.Context, n int) bool {
	if s.rd.ring.Len() >= n {
		return true
	}
	s.rest()
	return s.awaitBytes(ctx, n) == nil
}
