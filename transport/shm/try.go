// SPDX-License-Identifier: Apache-2.0

package shm

import "context"

// TryWrite writes as much of p as there is room for now, and waits for
// nothing, not even for another Write: then it has written nothing.
func (c *Conn) TryWrite(p []byte) (int, error) {
	if s := c.out.Load(); s != nil {
		return s.tryWrite(p)
	}
	return 0, nil
}

func (s *stream) tryWrite(p []byte) (n int, err error) {
	w := &s.wr
	if !w.mu.tryLock() {
		return 0, nil
	}
	defer s.unlock(&w.half)
	if err := s.writable(context.Background(), "write"); err != nil {
		return 0, err
	}
	if w.ring.Free() < len(p) {
		if _, err := w.ring.Look(); err != nil {
			return 0, s.fail(err)
		}
		if err := s.lookTaken(); err != nil {
			return 0, s.fail(err)
		}
	}
	for n < len(p) {
		m := copy(w.ring.Next(), p[n:min(len(p), n+chunk)])
		if m == 0 {
			break
		}
		n += m
		if err = s.publish(m); err != nil {
			break
		}
	}
	s.count(&w.half, n)
	if n == len(p) {
		err = nil
	}
	return n, err
}

// TryReserve is Reserve for what fits now: it waits for nothing, not even for
// another Write. It lends nothing, and is nil, if there is no room for n bytes
// or the connection has come to its end, of which the next Write tells.
func (c *Conn) TryReserve(n int) []byte {
	if s := c.out.Load(); s != nil {
		return s.tryReserve(n)
	}
	return nil
}

func (s *stream) tryReserve(n int) []byte {
	w := &s.wr
	if n > s.maxLoan() || !w.mu.tryLock() {
		return nil
	}
	if s.writable(context.Background(), "reserve") != nil || !s.hasRoom(n) {
		s.unlock(&w.half)
		return nil
	}
	w.lent.Store(1 + int64(n))
	return w.ring.Next()[:n:n]
}

// hasRoom says whether n bytes can be written, and looks for room if they
// cannot. The writing half is locked.
func (s *stream) hasRoom(n int) bool {
	w := &s.wr
	if w.ring.Free() >= n {
		return true
	}
	_, err := w.ring.Look()
	if err == nil {
		err = s.lookTaken()
	}
	if err != nil {
		_ = s.fail(err)
		return false
	}
	return w.ring.Free() >= n
}
