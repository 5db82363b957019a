// SPDX-License-Identifier: Apache-2.0

package rpc

import "context"

// await waits until ready, which is asked with in.mu held, or until ctx ends.
// It may return holding the reader's role, with a message that lies in the
// reader's buffer: the caller takes it, then leaves the role.
func (s *clientStream) await(ctx context.Context, ready func(*clientStream) bool) (holds bool, err error) {
	c := s.c
	for {
		s.in.mu.Lock()
		if ready(s) {
			s.in.mu.Unlock()
			return false, nil
		}
		s.in.mu.Unlock()
		if c.serves == nil && c.waiters.Load() == 0 && c.takeRole() {
			return s.read(ctx, ready)
		}
		if err := s.park(ctx, ready); err != nil {
			return false, err
		}
	}
}

// park waits for the reader's holder to bring something.
func (s *clientStream) park(ctx context.Context, ready func(*clientStream) bool) error {
	c := s.c
	s.in.mu.Lock()
	if ready(s) {
		s.in.mu.Unlock()
		return nil
	}
	s.in.parked = true
	c.waiters.Add(1)
	s.in.mu.Unlock()
	if c.role.Load() == 0 { // left before it could see us
		c.someoneReads()
	}
	select {
	case <-s.in.wake:
		return nil
	case <-ctx.Done():
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.in.parked {
		s.in.parked = false
		c.waiters.Add(-1)
	} else {
		<-s.in.wake
	}
	if ready(s) {
		return nil
	}
	return ctx.Err()
}

// read reads the connection until ready. The caller has taken the role.
func (s *clientStream) read(ctx context.Context, ready func(*clientStream) bool) (holds bool, err error) {
	c := s.c
	for {
		s.hit = false
		c.heardOf = 0
		if _, err := c.dispatchAll(s); err != nil {
			c.fail(err)
		}
		s.in.mu.Lock()
		is := ready(s)
		s.in.mu.Unlock()
		if is {
			return true, nil
		}
		if s.hit {
			s.keepLoans()
			continue
		}
		if c.heardOf > 0 {
			c.yield()
		}
		if err := c.fill(ctx); err != nil {
			if ctx.Err() == nil {
				c.fail(err)
				continue
			}
			c.leaveRole()
			return false, ctx.Err()
		}
	}
}

// keepLoans copies messages that lie in the reader's buffer.
func (s *clientStream) keepLoans() {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	for i := s.in.head; i < len(s.in.q); i++ {
		s.in.q[i].own()
	}
}
