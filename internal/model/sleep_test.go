// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// sleepBug is what can be wrong with publish, sleep and wake.
type sleepBug struct {
	noSecondLook bool // sleep without having looked after the announcement
	flagFirst    bool // look at the sleeper's flag, then publish
	lateKnock    bool // load the knock word only after the second look
	noHammer     bool // wake by futex without having moved the word
	oneNumber    bool // all sleeps have the same number
	longDoze     bool // doze for ever: nobody hears of a death
	noEnd        bool // die without the socket's end being heard
	noRepay      bool // the reader sleeps with room that it has kept back
}

// sleeper is one end: 0 reads, 1 writes; each waits for the other.
type sleeper struct {
	pc     uint8
	dozes  bool  // how it sleeps, or will
	seen   uint8 // the other's position as last read
	knock  uint8 // the other's hammer as loaded before the look
	flag   uint8 // the other's sleep word as loaded
	sleep  uint8 // shared: number<<2 | on the knock<<1 | asleep
	nap    uint8
	woken  uint8 // the other's sleep that we ended last
	hammer uint8 // shared: moved to wake the other
	futex  bool  // in the kernel's queue
	sock   uint8 // bytes on our socket
}

type sleepState struct {
	tail, head uint8 // shared
	read       uint8 // the reader's own: units read, of which the last may be kept back
	s          [2]sleeper
	deaths     uint8
}

const (
	sLook  = iota // look at the other's position
	sPub          // one unit was read or written: publish
	sKept         // reader: one was read and kept back; does the writer sleep?
	sRepay        // reader: give back what was kept
	sFlag         // load the other's sleep word
	sFlag2        // mutated: published, after the word was loaded
	sRoom         // reader: is there enough for the writer?
	sHammer
	sWake
	sRing
	sKnock // doze: load the knock word
	sAnnounce
	sAgain  // the second look
	sLate   // mutated: load the knock word now
	sWait   // enter the kernel, or the poller
	sAsleep // in the kernel's queue
	sUp
	sEnd
	sDead
)

const (
	sleepUnits = 4
	sleepCap   = 2
)

// sleepModel is a ring of two units between two processes, as transport/shm
// has it: dozing on the peer's knock word or slumbering on the socket, and
// one may be killed at any step if deaths is 1. No time-out exists but a doze's when
// the other has died. want is for how many units the writer wants to be woken,
// keep how many the reader may keep back, as it does so as not to publish each.
func sleepModel(bug sleepBug, want, keep, deaths uint8) System[sleepState] {
	m := sleepRules{bug, want, keep, deaths}
	return System[sleepState]{
		First: []sleepState{{}},
		Next: func(s sleepState, step func(string, sleepState)) {
			for i := range s.s {
				m.end(s, i, step)
			}
		},
		Wrong: func(s sleepState) string {
			if s.head > s.read || s.read > s.tail || s.tail-s.head > sleepCap {
				return "a unit was read before it was written, or overwritten"
			}
			return ""
		},
		Done: func(s sleepState) bool {
			for _, e := range s.s {
				if e.pc < sEnd {
					return false
				}
			}
			return s.deaths > 0 || s.read == sleepUnits
		},
	}
}

type sleepRules struct {
	bug                sleepBug
	want, keep, deaths uint8
}

// end is what end i can do.
func (m sleepRules) end(s sleepState, i int, step func(string, sleepState)) {
	name := []string{"reader", "writer"}[i]
	if s.s[i].pc >= sEnd {
		return
	}
	if s.deaths < m.deaths {
		to := s
		to.deaths, to.s[i] = 1, sleeper{pc: sDead, sleep: s.s[i].sleep, hammer: s.s[i].hammer}
		step(name+" is killed", to)
	}
	m.step(s, i, func(what string, to sleepState) { step(name+" "+what, to) })
}

func (m sleepRules) step(s sleepState, i int, step func(string, sleepState)) {
	me, other := &s.s[i], &s.s[1-i]
	switch me.pc {
	case sLook:
		m.look(s, i, step)
	case sPub:
		if i == 0 && s.read-s.head < m.keep {
			to := s
			to.read++
			to.s[i].pc = sKept
			step("keeps a unit's room back", to)
		}
		if m.bug.flagFirst {
			me.flag, me.pc = other.sleep, sFlag2
			step("loads the flag too early", s)
			return
		}
		s.publish(i)
		me.pc = sFlag
		step("publishes", s)
	case sKept:
		if me.pc = sLook; other.sleep&1 != 0 {
			me.pc = sRepay
		}
		step("looks whether the writer sleeps", s)
	case sRepay:
		s.head, me.pc = s.read, sFlag
		step("gives back what it kept", s)
	case sFlag2:
		s.publish(i)
		me.pc = m.afterFlag(&s, i)
		step("publishes too late", s)
	case sFlag:
		me.flag = other.sleep
		me.pc = m.afterFlag(&s, i)
		step("loads the flag", s)
	case sRoom:
		if me.pc = sLook; s.tail-s.head+m.want <= sleepCap {
			me.pc = m.rouse(me)
		}
		step("counts the room", s)
	case sHammer:
		me.hammer, me.pc = (me.hammer+1)%16, sWake
		step("moves the hammer", s)
	case sWake:
		other.futex, me.pc = false, sLook
		step("wakes by futex", s)
	case sRing:
		if other.pc != sDead && other.sock < 2 {
			other.sock++
		}
		me.pc = sLook
		step("sends a byte", s)
	default:
		m.rest(s, i, step)
	}
}

func (s *sleepState) publish(i int) {
	if i == 0 {
		s.read++
		s.head = s.read
	} else {
		s.tail++
	}
}

// look finds something to do, an end, or nothing; then it chooses how to wait.
func (m sleepRules) look(s sleepState, i int, step func(string, sleepState)) {
	me := &s.s[i]
	own, have := s.read, s.tail != s.read
	me.seen = s.tail
	if i == 1 {
		own, have = s.tail, s.tail-s.head < sleepCap
		me.seen = s.head
	}
	switch {
	case own == sleepUnits:
		me.pc = sEnd
		step("is done", s)
	case have:
		me.pc = sPub
		step("finds something to do", s)
	case s.s[1-i].pc == sDead && !m.bug.noEnd && me.sock == 0:
		me.pc = sEnd
		step("sees the other's death", s)
	case i == 0 && s.read != s.head && !m.bug.noRepay:
		me.pc = sRepay
		step("finds nothing and has kept something", s)
	default:
		to := s
		to.s[i].dozes, to.s[i].pc = false, sAnnounce
		step("finds nothing and will slumber", to)
		to.s[i].dozes, to.s[i].pc = true, sKnock
		if m.bug.lateKnock {
			to.s[i].pc = sAnnounce
		}
		step("finds nothing and will doze", to)
	}
}

// afterFlag says what comes after the other's sleep word was loaded.
func (m sleepRules) afterFlag(s *sleepState, i int) uint8 {
	me := &s.s[i]
	switch {
	case me.flag&1 == 0 || me.flag == me.woken:
		return sLook
	case i == 0:
		return sRoom
	}
	return m.rouse(me)
}

func (m sleepRules) rouse(me *sleeper) uint8 {
	me.woken = me.flag
	switch {
	case me.flag&2 == 0:
		return sRing
	case m.bug.noHammer:
		return sWake
	}
	return sHammer
}

// rest is the way to sleep and out of it.
func (m sleepRules) rest(s sleepState, i int, step func(string, sleepState)) {
	me, other := &s.s[i], &s.s[1-i]
	switch me.pc {
	case sKnock:
		me.knock, me.pc = other.hammer, sAnnounce
		step("loads the knock", s)
	case sAnnounce:
		if !m.bug.oneNumber {
			me.nap = (me.nap + 1) % 16
		}
		me.sleep = me.nap<<2 | 1
		if me.dozes {
			me.sleep |= 2
		}
		me.pc = sAgain
		if m.bug.noSecondLook {
			me.pc = sWait
		}
		step("announces its sleep", s)
	case sAgain:
		position := s.tail
		if i == 1 {
			position = s.head
		}
		switch {
		case position != me.seen:
			me.pc = sUp
		case m.bug.lateKnock && me.dozes:
			me.pc = sLate
		default:
			me.pc = sWait
		}
		step("looks again", s)
	case sLate:
		me.knock, me.pc = other.hammer, sWait
		step("loads the knock too late", s)
	case sWait:
		m.wait(s, i, step)
	case sAsleep:
		if !me.futex {
			me.pc = sUp
			step("is woken", s)
		} else if other.pc == sDead && !m.bug.longDoze {
			me.futex, me.pc = false, sUp
			step("has dozed long enough", s)
		}
	case sUp:
		me.sleep, me.pc = me.nap<<2, sLook
		step("gets up", s)
	}
}

func (m sleepRules) wait(s sleepState, i int, step func(string, sleepState)) {
	me, other := &s.s[i], &s.s[1-i]
	switch {
	case !me.dozes && (me.sock > 0 || other.pc == sDead && !m.bug.noEnd):
		me.sock, me.pc = 0, sUp
		step("hears the socket", s)
	case me.dozes && other.hammer != me.knock:
		me.pc = sUp
		step("is refused by the kernel: the word has moved", s)
	case me.dozes:
		me.futex, me.pc = true, sAsleep
		step("falls asleep", s)
	}
}

func TestSleep(t *testing.T) {
	for name, c := range map[string]struct{ want, keep uint8 }{"woken for one unit": {1, 0}, "woken for two": {2, 0}, "a reader that keeps room back": {1, sleepCap}} {
		t.Run(name, func(t *testing.T) {
			bugs := map[string]sleepBug{
				"no second look":              {noSecondLook: true},
				"flag before publication":     {flagFirst: true},
				"knock loaded after the look": {lateKnock: true},
				"futex without the word":      {noHammer: true},
				"sleeps without numbers":      {oneNumber: true},
			}
			if c.keep > 0 {
				bugs["sleep with room kept back"] = sleepBug{noRepay: true}
			}
			holds(t, func(b sleepBug) System[sleepState] { return sleepModel(b, c.want, c.keep, 0) }, bugs)
		})
	}
}

// Where a death is possible it must not be what saves a sleeper, so the lost
// wake-ups are looked for without.
func TestSleepAndDeath(t *testing.T) {
	holds(t, func(b sleepBug) System[sleepState] { return sleepModel(b, 1, 1, 1) }, map[string]sleepBug{
		"a doze without an end":     {longDoze: true},
		"a death that nobody hears": {noEnd: true},
	})
}
