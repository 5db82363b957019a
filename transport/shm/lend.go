// SPDX-License-Identifier: Apache-2.0

package shm

import "context"

// PeekPlain is Peek for who takes files elsewhere: it waits until n bytes can
// be read and lends all that can, but nothing that came with files, nor what
// follows that. False: nothing is lent, be it that n bytes are more than there
// will be, or than a loan; Read does, or says what is wrong. The loan ends with
// Discard, and outlives Close until then.
func (c *Conn) PeekPlain(ctx context.Context, n int) ([]byte, bool) {
	if s := c.in.Load(); s != nil && s.trusted {
		return s.peekPlain(ctx, n)
	}
	return nil, false
}

func (s *stream) peekPlain(ctx context.Context, n int) ([]byte, bool) {
	r := &s.rd
	if n < 1 || n > s.maxLoan() || s.lock(ctx, &r.half, "peek", rdExpired) != nil {
		return nil, false
	}
	err := s.stopped(ctx, "peek", rdExpired)
	if err == nil && r.ring.Len() < n {
		s.rest()
		err = s.awaitBytes(ctx, n)
	}
	var b []byte
	if err == nil {
		b = s.beforeFiles(r.ring.Next())
	}
	if len(b) < n {
		s.unlock(&r.half)
		return nil, false
	}
	r.lent.Store(1 + int64(len(b)))
	return b[:len(b):len(b)], true
}

// beforeFiles is what of b, which is next to be read, comes before the next
// group of files.
func (s *stream) beforeFiles(b []byte) []byte {
	r := &s.rd
	if r.announced == r.taken {
		return b
	}
	pos, err := s.nextGroup()
	if err != nil {
		return nil
	}
	if gap := pos - r.ring.Head(); gap < uint64(len(b)) {
		return b[:gap]
	}
	return b
}
