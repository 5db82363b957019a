// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"io"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/ring"
)

// chunk is how much is copied between two publications: large enough that the
// fence is free, small enough that the peer copies while we do.
const chunk = 32 << 10

// reader is the half that reads the peer's ring.
type reader struct {
	half
	ring      *ring.Consumer
	announced uint64 // guarded by mu: groups of files that the peer says it has sent
	taken     uint64 // guarded by mu: groups taken out of the inbox
	calm      uint32 // guarded by mu: how long to rest before the next look
	spoken    uint64 // guarded by mu: our own tail when we last looked
}

// owedShare of a ring is what a reader keeps back at most. It must be less than
// half, so that who waits for the largest loan gets it from an empty ring.
const owedShare = 16

const (
	minCalm = 8   // steps of a spin
	maxCalm = 384 // about as long as the fastest writer needs for enough
	enough  = 8 << 10
)

// rest is the batching of a reader that has caught up. While a stream flows
// one way, each look at the tail takes its cache line from the writer, who
// gives a new one for each message: so rest until there is enough to look for.
// Whoever has said something meanwhile waits for an answer, and does not rest.
func (s *stream) rest() {
	r := &s.rd
	if said := s.ours.tail.Load(); said != r.spoken {
		r.spoken, r.calm = said, 0
		return
	}
	if r.calm > 0 {
		r.pacer.Rest(r.calm)
	}
}

// rested learns from what was there after a rest.
func (s *stream) rested(have int) {
	r := &s.rd
	switch {
	case have == 0:
		r.calm /= 2
	case have < enough:
		r.calm = min(max(2*r.calm, minCalm), maxCalm)
	}
}

// read implements Read, ReadContext and, with take, ReadFiles.
func (s *stream) read(ctx context.Context, p []byte, take bool) (n int, files []*os.File, err error) {
	r := &s.rd
	if err := s.lock(ctx, &r.half, "read", rdExpired); err != nil {
		return 0, nil, err
	}
	defer s.unlock(&r.half)
	if err := s.stopped(ctx, "read", rdExpired); err != nil || len(p) == 0 {
		return 0, nil, err
	}
	if r.ring.Len() == 0 {
		s.rest()
		if err := s.awaitBytes(ctx, 1); err != nil {
			return 0, nil, err
		}
	}
	n = min(len(p), r.ring.Len())
	if r.announced != r.taken {
		if n, files, err = s.passFiles(n, take); err != nil {
			return 0, nil, err
		}
	}
	for done := 0; done < n; {
		m := copy(p[done:min(n, done+chunk)], r.ring.Next())
		s.release(m)
		done += m
	}
	s.count(&r.half, n)
	return n, files, nil
}

// release gives n bytes back to the peer's writer, at once only if it sleeps or
// there are many: else before we wait for more, at the latest. Each time costs
// a fence, and the writer a line, if it looks for room. A writer that falls
// asleep for room meanwhile lacks no more than those few: while there is
// nothing left to read it has what it wants, be it half the ring.
func (s *stream) release(n int) {
	r := &s.rd
	r.ring.Take(n)
	if r.ring.Owed() >= r.ring.Cap()/owedShare || s.theirs.wsleep.Load()&sleepAny != 0 {
		s.repay()
	}
}

// repay gives back what was read, and wakes the peer's writer if it sleeps for
// as many bytes as there are now.
func (s *stream) repay() {
	r := &s.rd
	r.ring.Release(0)
	if sleep := s.theirs.wsleep.Load(); sleep&sleepAny != 0 && sleep != r.woken {
		// Not ring.Look alone: a tail that is known without its groups of files
		// would let the next read pass over them.
		if _, err := s.lookBytes(); err != nil {
			_ = s.fail(err)
			return
		}
		free := r.ring.Cap() - r.ring.Len()
		if want := int64(s.theirs.want.Load()); int64(free) >= min(want, int64(r.ring.Cap())) {
			s.rouse(&r.half, sleep)
		}
	}
}

// awaitBytes waits until n bytes can be read. At the end of the stream it is
// io.EOF or fault.PeerDied, with fewer bytes or none in the ring.
func (s *stream) awaitBytes(ctx context.Context, n int) error {
	r := &s.rd
	for first := true; ; first = false {
		end := s.ended() // before the look, so that the look sees the last byte
		have, err := s.lookBytes()
		if first && err == nil {
			s.rested(have)
		}
		switch {
		case err != nil:
			return s.fail(err)
		case have >= n:
			takeOver()
			return nil
		case end != nil:
			takeOver()
			return end
		}
		if err := s.stopped(ctx, "read", rdExpired); err != nil {
			return err
		}
		if r.ring.Owed() > 0 {
			s.repay()
			continue // it may have looked, and pause would not hear of what it saw
		}
		s.pause(ctx, &r.half)
	}
}

// lookBytes reads the peer's tail, then its count of files: groups that came
// with bytes before that tail have been counted.
func (s *stream) lookBytes() (int, error) {
	r := &s.rd
	have, err := r.ring.Look()
	if err != nil {
		return 0, err
	}
	if files := s.theirs.files.Load(); files != r.announced {
		if files-r.taken > maxGroups || files-r.taken < r.announced-r.taken {
			return 0, errManyFiles
		}
		r.announced = files
	}
	return have, nil
}

// readMoved is what a waiting reader watches.
func (s *stream) readMoved() bool {
	return s.rd.ring.Moved() ||
		s.status.Load()&(isClosed|isBroken|isHungUp|rdExpired) != 0 ||
		s.theirs.state.Load()&(stateEnded|stateClosed) != 0
}

// peek implements Peek. The half stays locked while something is lent.
func (s *stream) peek(ctx context.Context, n int) ([]byte, error) {
	r := &s.rd
	if !s.trusted {
		return nil, fault.New(fault.Unsupported, "peek", s.addr, nil).WithHint("declare the peer Trusted, or Read")
	}
	if n < 0 || n > s.maxLoan() {
		return nil, s.badLoan("peek", n, s.maxLoan())
	}
	if err := s.lock(ctx, &r.half, "peek", rdExpired); err != nil {
		return nil, err
	}
	err := s.stopped(ctx, "peek", rdExpired)
	if err == nil && r.ring.Len() < n {
		s.rest()
		err = s.awaitBytes(ctx, n)
	}
	if err != nil && (err != io.EOF || r.ring.Len() == 0) {
		s.unlock(&r.half)
		return nil, err
	}
	b := r.ring.Next()
	r.lent.Store(1 + int64(len(b)))
	return b[:len(b):len(b)], err
}

// discard implements Discard.
func (s *stream) discard(n int) error {
	r := &s.rd
	lent := r.lent.Load() - 1
	if lent < 0 || n < 0 || int64(n) > lent {
		return s.badLoan("discard", n, int(lent))
	}
	r.lent.Store(0)
	defer s.unlock(&r.half)
	if r.announced != r.taken {
		for done := 0; done < n; {
			m, _, err := s.passFiles(n-done, false)
			if err != nil {
				return err
			}
			s.release(m)
			done += m
		}
	} else if n > 0 {
		s.release(n)
	}
	s.count(&r.half, n)
	return nil
}
