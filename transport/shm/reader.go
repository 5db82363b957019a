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
}

// read implements Read, ReadContext and, with files, ReadFiles.
func (s *stream) read(ctx context.Context, p []byte, files *[]*os.File) (int, error) {
	r := &s.rd
	if err := s.lock(ctx, &r.half, "read", rdExpired); err != nil {
		return 0, err
	}
	defer s.unlock(&r.half)
	if err := s.stopped(ctx, "read", rdExpired); err != nil || len(p) == 0 {
		return 0, err
	}
	if r.ring.Len() == 0 {
		if err := s.awaitBytes(ctx, 1); err != nil {
			return 0, err
		}
	}
	n := min(len(p), r.ring.Len())
	if r.announced != r.taken {
		var err error
		if n, err = s.passFiles(n, files); err != nil {
			return 0, err
		}
	}
	for done := 0; done < n; {
		m := copy(p[done:min(n, done+chunk)], r.ring.Next())
		s.release(m)
		done += m
	}
	s.count(&r.half, n)
	return n, nil
}

// release gives n bytes back to the peer's writer and wakes it if it sleeps
// for as many as there are now.
func (s *stream) release(n int) {
	r := &s.rd
	r.ring.Release(n)
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
	for {
		end := s.ended() // before the look, so that the look sees the last byte
		have, err := s.lookBytes()
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
			m, err := s.passFiles(n-done, nil)
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
