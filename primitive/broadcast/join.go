// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"errors"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// joinTries bounds how often a fast publisher may overtake a joiner, who asks
// for less of the past each time.
const joinTries = 16

// join finds where to begin: after the newest record, or so many before.
func (s *Subscriber) join() error {
	if s.w.magic.Load() != magic || s.w.ring.Load() != s.ring {
		return fault.New(fault.Protocol, "subscribe", "", errors.New("the segment is no broadcast ring of that size"))
	}
	for try := range uint64(joinTries) {
		done, err := s.joinOnce(s.ring - s.ring/joinTries*try)
		if err != nil || done {
			return err
		}
	}
	return fault.New(fault.Unavailable, "subscribe", "", errors.New("the publisher overtakes every look at its ring")).WithHint("make the ring larger")
}

// joinOnce reports whether all that it read was whole. It goes back no
// further than reach.
func (s *Subscriber) joinOnce(reach uint64) (whole bool, err error) {
	start := s.w.start.Load()
	last := s.w.last.Load() // before tail: it is not past it
	s.tail = s.w.tail.Load()
	takeOver()
	if s.tail == start {
		s.pos, s.seq = start, s.w.first.Load()
		return true, s.aligned(start)
	}
	if ahead(s.tail, last) < 0 || last&7 != 0 {
		return false, s.wrong("the newest record at %d, the end at %d", last, s.tail)
	}
	h := s.peek(last)
	if s.cfg.Last == 0 {
		return s.joinAfter(last, h)
	}
	pos, seq := last, h.seq // of the oldest that counts
	at, n := last, 0
	for {
		if s.counts(at, h) {
			pos, seq, n = at, h.seq, n+1
		}
		before := at - uint64(h.back)
		if n >= s.cfg.Last || h.back < headerSize || h.back&7 != 0 || ahead(before, start) < 0 || last-before > s.ring || s.w.intent.Load()-before > reach {
			break
		}
		at, h = before, s.peek(before)
	}
	switch {
	case !s.settled(at): // what was read of it may mean nothing
		return false, nil
	case n == 0:
		return s.joinAfter(last, s.peek(last))
	}
	s.pos, s.seq = pos, seq
	return true, nil
}

// counts says whether the record at pos is one of those wanted. It may be
// overwritten meanwhile, which its caller finds out in the end.
func (s *Subscriber) counts(pos uint64, h header) bool {
	if s.cfg.Match == nil {
		return true
	}
	n := min(uint64(h.length), MatchHead, s.ring-headerSize)
	from := pos&(s.ring-1) + headerSize
	s.head = append(s.head[:0], s.data[from:from+n]...)
	return s.cfg.Match(s.head)
}

// joinAfter begins after the record at last.
func (s *Subscriber) joinAfter(last uint64, h header) (whole bool, err error) {
	if !s.settled(last) {
		return false, nil
	}
	end := last + recordSize(int(min(h.length, uint32(s.ring))))
	if ahead(s.tail, end) < 0 {
		return false, s.wrong("the newest record at %d does not end before %d", last, s.tail)
	}
	s.pos, s.seq = end, h.seq+1
	return true, nil
}

func (s *Subscriber) aligned(pos uint64) error {
	if pos&7 != 0 {
		return s.wrong("it starts at %d", pos)
	}
	return nil
}

// peek reads the header of the record at pos, a multiple of 8, where it lies.
func (s *Subscriber) peek(pos uint64) header {
	at := int(pos & (s.ring - 1))
	return headerFrom(shm.Uint64(s.data, at).Load(), shm.Uint64(s.data, at+8).Load(), shm.Uint64(s.data, at+16).Load())
}
