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
	pos := last
	for n := 1; n < s.cfg.Last; n++ {
		before := pos - uint64(h.back)
		if h.back < headerSize || h.back&7 != 0 || ahead(before, start) < 0 || last-before > s.ring || s.w.intent.Load()-before > reach {
			break
		}
		pos, h = before, s.peek(before)
	}
	s.pos, s.seq = pos, h.seq
	return s.settled(pos), nil
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
