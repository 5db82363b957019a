// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// borrowBug is what can be wrong with reading a record where it lies.
type borrowBug struct {
	lateIntent bool // the publisher says what it overwrites when it has
	trusting   bool // Release does not look at intent again
	earlyFloor bool // the floor moves when a record is borrowed, not released
	shortRoom  bool // the publisher forgets that a record takes room
}

const (
	borrowRing    = 2 // records of two words each
	borrowRecords = 4
)

// borrowState is a publisher and a subscriber that borrows each record, reads
// it word by word, and releases it.
type borrowState struct {
	reliable     bool
	tail, intent uint8
	floor        uint8
	words        [borrowRing][2]uint8 // what was written there last
	pub          uint8                // the publisher's place
	pc           uint8                // the subscriber's
	pos          uint8                // of the record it is at
	read         [2]uint8
	wrong        string
}

const (
	bIdle = iota
	bFirst
	bSecond
	bRelease
	bEnd
)

func borrowModel(bug borrowBug) System[borrowState] {
	return System[borrowState]{
		First: []borrowState{{}, {reliable: true}},
		Next: func(s borrowState, step func(string, borrowState)) {
			publisherStep(s, bug, step)
			subscriberStep(s, bug, step)
		},
		Wrong: func(s borrowState) string { return s.wrong },
		Done:  func(s borrowState) bool { return s.pc == bEnd && s.tail == borrowRecords },
	}
}

// publisherStep: room, intent, first word, second word, tail.
func publisherStep(s borrowState, bug borrowBug, step func(string, borrowState)) {
	at := s.tail % borrowRing
	need := s.tail + 1
	if bug.shortRoom {
		need--
	}
	switch {
	case s.tail == borrowRecords:
		return
	case s.pub == 0 && s.reliable && need-s.floor > borrowRing:
		return // waits for room
	case s.pub == 0:
		s.pub = 1
	case s.pub == 1 && !bug.lateIntent, s.pub == 3 && bug.lateIntent:
		s.intent = s.tail + 1
		s.pub++
	case s.pub == 1, s.pub == 2 && !bug.lateIntent:
		s.words[at][s.pub-1-b2i(!bug.lateIntent)] = s.tail + 1
		s.pub++
	case s.pub == 2, s.pub == 3:
		s.words[at][1] = s.tail + 1
		s.pub++
	default:
		s.tail, s.pub = s.tail+1, 0
	}
	step("publisher", s)
}

func b2i(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func subscriberStep(s borrowState, bug borrowBug, step func(string, borrowState)) {
	settled := s.intent-s.pos <= borrowRing
	switch s.pc {
	case bIdle:
		switch {
		case s.pos == borrowRecords:
			s.pc = bEnd
		case s.pos == s.tail:
			return // waits
		case !settled && s.reliable:
			s.wrong = "a reliable subscriber was overtaken"
		case !settled:
			s.pos = s.tail - 1 // the newest
		default:
			s.pc = bFirst
			if bug.earlyFloor {
				s.floor = s.pos + 1
			}
		}
	case bFirst, bSecond:
		i := s.pc - bFirst
		s.read[i] = s.words[s.pos%borrowRing][i]
		s.pc++
	case bRelease:
		whole := s.read == [2]uint8{s.pos + 1, s.pos + 1}
		if (settled || bug.trusting) && !whole {
			s.wrong = "Release says that it was whole, and it was not"
		}
		if !settled && s.reliable {
			s.wrong = "a borrowed record of a reliable subscriber was overwritten"
		}
		s.pos, s.read, s.pc = s.pos+1, [2]uint8{}, bIdle
		s.floor = s.pos
	default:
		return
	}
	step("subscriber", s)
}

func TestBorrow(t *testing.T) {
	holds(t, borrowModel, map[string]borrowBug{
		"intent after the writing":       {lateIntent: true},
		"Release does not look":          {trusting: true},
		"the floor moves too early":      {earlyFloor: true},
		"room for one record is missing": {shortRoom: true},
	})
}
