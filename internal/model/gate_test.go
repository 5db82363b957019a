// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// gateBug is what can be wrong with the gate of a semaphore or of readers.
type gateBug struct {
	noSecondLook bool // pass without a look at the gate after the record has grown
	noCount      bool // pass a semaphore without a look at the other records
	shutLate     bool // look at the records, then shut the gate
	openBlind    bool // open the gate although somebody waits
	openWriting  bool // open the gate although somebody writes
	silentBack   bool // step back and wake nobody
	giveLate     bool // look at the gate, then make the record smaller
	noBurial     bool // what the dead held stays theirs
}

// passer is one handle.
type passer struct {
	pc     uint8
	at     uint8 // where in a loop
	sum    uint8 // seen so far
	after  uint8 // where to go on after ringing
	seen   uint8 // our bell, before we looked
	early  bool  // mutated: the gate as seen too early
	record uint8 // shared: what it holds; writes: what nobody else can
	want   bool  // shared
	bell   uint8 // shared
	rounds uint8
}

const gatePassers = 3

type gateState struct {
	p            [gatePassers]passer
	shut         bool
	monitor      uint8 // who is in it, from 1
	deaths, ends uint8
}

const (
	gGate     = iota // look at the gate
	gGrow            // make the record larger
	gAgain           // look at the gate again
	gCount           // add up the records
	gBack            // too much: make it smaller again
	gBackLook        // does somebody wait for that?
	gListen          // the long way: note the bell
	gEnter           // the monitor
	gWant            // write that we wait
	gShut
	gFits // add up the records
	gTake // make the record larger
	gUnwant
	gOpen // does anybody wait?
	gOpens
	gLeave    // the monitor, with it
	gLeaveOut // the monitor, without
	gSleep
	gHold
	gGiveEarly // mutated
	gGive
	gGiveLook
	gRing // whom does it concern?
	gEnd
	gDead
	gBuried
)

const gateWrites = 10

// gateRules is the gate as primitive/procsync/gate.go has it: a semaphore of
// limit permits, or readers beside one writer, the last of them, if limit is 0. Each takes one
// and gives it back, rounds times, or only tries; deaths may be killed and ends give up, at any
// step. The monitor is a word that is free or not: its own hand-over is another
// protocol.
type gateRules struct {
	bug                         gateBug
	limit, rounds, deaths, ends uint8
}

func (m gateRules) system() System[gateState] {
	var first gateState
	for i := range first.p {
		first.p[i].rounds = m.rounds
	}
	return System[gateState]{
		First: []gateState{first},
		Next: func(s gateState, step func(string, gateState)) {
			for i := range s.p {
				m.one(s, i, func(what string, to gateState) { step(string(rune('A'+i))+" "+what, to) })
			}
		},
		Wrong: m.wrong,
		Done: func(s gateState) bool {
			for _, p := range s.p {
				if p.pc < gEnd {
					return false
				}
			}
			return true
		},
	}
}

func (m gateRules) writer(i int) bool { return m.limit == 0 && i == gatePassers-1 }

func (m gateRules) amount(i int) uint8 {
	if m.writer(i) {
		return gateWrites
	}
	return 1
}

func (m gateRules) wrong(s gateState) string {
	holders, writers := uint8(0), 0
	for i, p := range s.p {
		if p.pc >= gHold && p.pc <= gGive {
			holders++
			if m.writer(i) {
				writers++
			}
		}
	}
	if m.limit > 0 && holders > m.limit || writers > 0 && holders > 1 {
		return "too many hold it"
	}
	return ""
}

// fits says whether i can have what it wants beside what the records sum up to.
func (m gateRules) fits(i int, sum uint8) bool {
	switch {
	case m.limit > 0:
		return sum < m.limit
	case m.writer(i):
		return sum == 0
	}
	return sum < gateWrites
}

func (s *gateState) sum() (n uint8) {
	for _, p := range s.p {
		n += p.record
	}
	return n
}

func (m gateRules) one(s gateState, i int, step func(string, gateState)) {
	me := &s.p[i]
	if me.pc >= gEnd {
		return
	}
	if s.deaths < m.deaths {
		to := s
		to.deaths++
		to.p[i].pc = gDead
		step("is killed", to)
	}
	waits := me.pc == gEnter && s.monitor != 0 || me.pc == gSleep && me.bell == me.seen
	for d, p := range s.p { // the kernel wakes who waits, and it looks round
		if waits && p.pc == gDead && !m.bug.noBurial {
			to := s
			to.bury(d)
			step("buries", to)
		}
	}
	if me.pc == gSleep && s.ends < m.ends {
		to := s
		to.ends++
		to.p[i].want = false
		for k := range to.p {
			if to.p[k].want {
				to.p[k].bell++
			}
		}
		to.p[i].finish()
		step("gives up", to)
	}
	if me.pc <= gBackLook {
		m.pass(s, i, step)
	} else {
		m.long(s, i, step)
	}
}

func (s *gateState) bury(d int) {
	s.p[d] = passer{pc: gBuried}
	if int(s.monitor) == d+1 {
		s.monitor = 0
	}
	for k := range s.p {
		if s.p[k].pc < gEnd {
			s.p[k].bell++
		}
	}
}

func (p *passer) finish() {
	*p = passer{pc: gGate, rounds: p.rounds - 1, bell: p.bell, record: p.record}
	if p.rounds == 0 {
		*p = passer{pc: gEnd, record: p.record}
	}
}

func (p *passer) goOn(after uint8) {
	if p.to(after); after == gEnd {
		p.finish()
	}
}

func (p *passer) to(pc uint8) { p.pc, p.at, p.sum = pc, 0, 0 }

// pass is the fast path.
func (m gateRules) pass(s gateState, i int, step func(string, gateState)) {
	me := &s.p[i]
	switch me.pc {
	case gGate:
		me.to(gGrow)
		if s.shut || m.writer(i) {
			me.to(gListen)
		}
		step("looks at the gate", s)
	case gGrow:
		me.record++
		me.to(gAgain)
		if m.bug.noSecondLook {
			me.to(gCount)
		}
		step("makes its record larger", s)
	case gAgain:
		me.to(gCount)
		if s.shut {
			me.to(gBack)
		}
		step("looks at the gate again", s)
	case gCount:
		if m.limit == 0 || m.bug.noCount {
			me.to(gHold)
			step("passes", s)
			return
		}
		me.sum += s.p[me.at].record
		me.at++
		switch {
		case me.sum > m.limit:
			me.to(gBack)
		case me.at == gatePassers:
			me.to(gHold)
		}
		step("adds a record", s)
	case gBack:
		me.record--
		me.to(gBackLook)
		step("steps back", s)
	case gBackLook:
		for what, after := range map[string]uint8{"goes the long way": gListen, "only tried": gEnd} {
			to := s
			if s.shut && !m.bug.silentBack {
				to.p[i].to(gRing)
				to.p[i].after = after
			} else {
				to.p[i].goOn(after)
			}
			step("looks whether to ring, and "+what, to)
		}
	}
}

// long is the way through the monitor, and what comes after either.
func (m gateRules) long(s gateState, i int, step func(string, gateState)) {
	me := &s.p[i]
	switch me.pc {
	case gListen:
		me.seen = me.bell
		me.to(gEnter)
		step("notes its bell", s)
	case gEnter:
		if s.monitor == 0 {
			s.monitor = uint8(i + 1)
			me.to(gWant)
			step("enters", s)
		}
	case gWant:
		me.want = true
		me.to(gShut)
		if m.bug.shutLate {
			me.to(gFits)
		}
		step("wants", s)
	case gShut:
		s.shut = true
		me.pc = gFits
		if m.bug.shutLate {
			m.decide(me, i)
		}
		step("shuts the gate", s)
	case gFits:
		me.sum += s.p[me.at].record
		me.at++
		switch {
		case me.at < gatePassers:
		case m.bug.shutLate:
			me.pc = gShut
		default:
			m.decide(me, i)
		}
		step("adds a record", s)
	case gTake:
		me.record += m.amount(i)
		me.to(gUnwant)
		step("makes its record larger", s)
	case gUnwant:
		me.want = false
		me.to(gOpen)
		step("wants no more", s)
	case gOpen:
		other := &s.p[me.at]
		me.at++
		switch {
		case other.want && !m.bug.openBlind, m.limit == 0 && other.record >= gateWrites && !m.bug.openWriting:
			me.to(gRing)
			me.after = gLeave
		case me.at == gatePassers:
			me.to(gOpens)
		}
		step("looks who waits", s)
	case gOpens:
		s.shut = false
		me.to(gRing)
		me.after = gLeave
		step("opens the gate", s)
	case gLeave:
		s.monitor = 0
		me.to(gHold)
		step("leaves with it", s)
	case gLeaveOut:
		s.monitor = 0
		me.to(gSleep)
		step("leaves without", s)
	case gSleep:
		if me.bell != me.seen {
			me.to(gListen)
			step("wakes", s)
		}
	default:
		m.giveBack(s, i, step)
	}
}

// decide ends a look at the records within the monitor.
func (m gateRules) decide(me *passer, i int) {
	if m.fits(i, me.sum) {
		me.to(gTake)
	} else {
		me.to(gLeaveOut)
	}
}

func (m gateRules) giveBack(s gateState, i int, step func(string, gateState)) {
	me := &s.p[i]
	switch me.pc {
	case gHold:
		me.to(gGive)
		if m.bug.giveLate {
			me.to(gGiveEarly)
		}
		step("has used it", s)
	case gGiveEarly:
		me.early = s.shut
		me.to(gGive)
		step("looks at the gate too early", s)
	case gGive:
		me.record -= m.amount(i)
		me.to(gGiveLook)
		step("gives it back", s)
	case gGiveLook:
		shut := s.shut
		if m.bug.giveLate {
			shut = me.early
		}
		if shut {
			me.to(gRing)
			me.after = gEnd
		} else {
			me.finish()
		}
		step("looks whether to ring", s)
	case gRing:
		k := int(me.at)
		if s.p[k].want && m.fits(k, s.sum()) && s.p[k].pc < gEnd {
			s.p[k].bell++
		}
		me.at++
		if me.at == gatePassers {
			me.goOn(me.after)
		}
		step("rings who can go on", s)
	}
}

func gateModel(limit, rounds, deaths, ends uint8) func(gateBug) System[gateState] {
	return func(b gateBug) System[gateState] { return gateRules{b, limit, rounds, deaths, ends}.system() }
}

func TestGate(t *testing.T) {
	permits := map[string]gateBug{
		"no second look":         {noSecondLook: true},
		"no count":               {noCount: true},
		"shut after the look":    {shutLate: true},
		"opened before a waiter": {openBlind: true},
		"a step back in silence": {silentBack: true},
		"a look before the gift": {giveLate: true},
	}
	readers := map[string]gateBug{
		"no second look":         {noSecondLook: true},
		"shut after the look":    {shutLate: true},
		"opened beside a writer": {openWriting: true},
		"a step back in silence": {silentBack: true},
		"a look before the gift": {giveLate: true},
	}
	t.Run("one permit", func(t *testing.T) { holds(t, gateModel(1, 1, 0, 0), permits) })
	t.Run("two permits", func(t *testing.T) { holds(t, gateModel(2, 1, 0, 0), nil) })
	t.Run("readers", func(t *testing.T) { holds(t, gateModel(0, 1, 0, 0), readers) })
}

// Where a death or somebody who gives up is possible it must not be what saves
// a sleeper, so the lost wake-ups are looked for without.
func TestGateAndDeath(t *testing.T) {
	dead := map[string]gateBug{"the dead keep what they had": {noBurial: true}}
	t.Run("one permit, a death", func(t *testing.T) { holds(t, gateModel(1, 1, 1, 0), dead) })
	t.Run("one permit, one gives up", func(t *testing.T) { holds(t, gateModel(1, 1, 0, 1), nil) })
	t.Run("readers, a death", func(t *testing.T) { holds(t, gateModel(0, 1, 1, 0), dead) })
	t.Run("readers, one gives up", func(t *testing.T) { holds(t, gateModel(0, 1, 0, 1), nil) })
}
