// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"fmt"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// Semaphore is a handle on a number of permits. What a handle holds when its
// process dies is given back. Its methods may be called from any goroutines at
// once, but none while Close runs.
type Semaphore struct {
	*handle
	one *claim // for one permit; immutable
}

// AttachSemaphore makes a handle on the semaphore that Format made in mem: see
// AttachMutex.
func AttachSemaphore(mem []byte, file *os.File, c Config) (*Semaphore, error) {
	h, err := attachBytes(mem, file, KindSemaphore, c)
	if err != nil {
		return nil, err
	}
	return newSemaphore(h), nil
}

func newSemaphore(h *handle) *Semaphore {
	s := &Semaphore{handle: h}
	s.one = s.newClaim(1)
	return s
}

// Permits is how many there are in all.
func (s *Semaphore) Permits() int64 { return int64(s.limit) }

// Acquire waits until n permits are this handle's and returns the token of the
// acquisition, larger than that of every one before.
func (s *Semaphore) Acquire(ctx context.Context, n int64) (token uint64, err error) {
	if s.cut != nil {
		return s.takeSafely(ctx, n)
	}
	return s.take(ctx, n)
}

func (s *Semaphore) takeSafely(ctx context.Context, n int64) (token uint64, err error) {
	return s.tokened(func() (uint64, error) { return s.take(ctx, n) })
}

func (s *Semaphore) take(ctx context.Context, n int64) (token uint64, err error) {
	if token, ok := s.pass(n); ok {
		return token, nil
	}
	c, err := s.claim(n)
	if err != nil {
		return 0, err
	}
	return s.acquire(ctx, c)
}

// TryAcquire takes n permits if that needs no wait, and says whether it did.
func (s *Semaphore) TryAcquire(n int64) (token uint64, ok bool, err error) {
	return s.tried(func() (uint64, bool, error) { return s.tryTake(n) })
}

func (s *Semaphore) tryTake(n int64) (token uint64, ok bool, err error) {
	if token, ok := s.pass(n); ok {
		return token, true, nil
	}
	c, err := s.claim(n)
	if err != nil {
		return 0, false, err
	}
	return s.tryAcquire(c)
}

func (s *Semaphore) claim(n int64) (*claim, error) {
	if n < 1 || n > int64(s.limit) {
		return nil, fault.New(fault.Invalid, "acquire", s.name, fmt.Errorf("%d permits, there are %d", n, s.limit))
	}
	if n == 1 {
		return s.one, nil
	}
	return s.newClaim(n), nil
}

func (s *Semaphore) newClaim(n int64) *claim {
	return &claim{
		op: "acquire", amount: uint64(n), fits: s.fits,
		next:     func(record uint64) (uint64, bool) { return record + uint64(n), record <= s.limit-uint64(n) },
		number:   func(uint64) uint64 { return s.value.Add(1) },
		excludes: func(uint64) bool { return true },
	}
}

func (s *Semaphore) fits(_ int, amount uint64) bool { return amount <= s.free() }

// free is what no record holds. A record that a peer has spoilt counts as
// holding everything, until its handle has gone.
func (s *Semaphore) free() uint64 {
	free := s.limit
	for i := range s.used() {
		free -= min(free, s.records[i].Load())
	}
	return free
}

// Available is how many permits nobody holds. It may have changed since.
func (s *Semaphore) Available() (n int64) {
	_ = s.safely(func() error { n = int64(s.free()); return nil })
	return n
}

// Held is how many permits this handle holds.
func (s *Semaphore) Held() (n int64) {
	_ = s.safely(func() error { n = int64(min(s.records[s.me].Load(), s.limit)); return nil })
	return n
}

// Release gives n permits back: any goroutine may. More than the handle holds
// is ErrNotHeld.
func (s *Semaphore) Release(n int64) error {
	if s.cut != nil {
		return s.giveSafely(n)
	}
	return s.give(n)
}

func (s *Semaphore) giveSafely(n int64) error { return s.safely(func() error { return s.give(n) }) }

func (s *Semaphore) give(n int64) error {
	handOver()
	mine := s.records[s.me]
	for {
		has := mine.Load()
		if n < 1 || uint64(n) > has {
			return s.whyNotHeld("release")
		}
		if mine.CompareAndSwap(has, has-uint64(n)) {
			s.ringAtGate(s.fits)
			return nil
		}
	}
}
