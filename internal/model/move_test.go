// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// moveBug is what can be wrong with the move from a socket into rings.
type moveBug struct {
	early   bool // the dialer reads the listener's ring as soon as the answer has come
	hasty   bool // the listener writes into its ring as soon as it has answered
	astray  bool // a writer goes on on the socket after it has said that it goes
	afterIt bool // a writer that has gone says its end on the socket
	mute    bool // a dialer that cannot attach does not say so
	deaf    bool // a read does not hear of the peer's death
	oneSock bool // who waits for room in its ring is woken over the old socket
}

const (
	moveUnits = 3 // each side sends so many
	moveQueue = 2 // messages that a socket holds
	moveRing  = 1 // units that a ring holds
)

// Messages on the old socket, beside units, which are numbered from 0.
const (
	mOffer = 10 + iota
	mAccept
	mNone
	mGo
	mEnd
	mWake // with oneSock only
)

// Phases, as in transport/shm/move.go.
const (
	mResting = iota
	mOffered
	mAgreed
	mGoing
	mFixed
)

// moveSide is the dialer or the listener, and its direction.
type moveSide struct {
	patient bool // reads nothing before it has written everything
	dead    bool
	phase   uint8
	owed    uint8 // message that is due
	tries   uint8
	has     bool // has the other's segment
	out, in bool
	sent    uint8 // units written
	got     uint8 // units read
	ended   bool  // has said that nothing follows, or has failed
	eof     bool  // has read to the end
	waits   bool  // for room in its ring, with oneSock
	first   uint8 // the unit at the beginning of its ring
	tail    uint8 // units published in it
	head    uint8 // units read of it
	ringEnd bool  // the end is said in its segment
	wrong   uint8
	queue   [moveQueue]uint8
	queued  uint8
}

type moveState [2]moveSide

func (m *moveSide) push(msg uint8) bool {
	if m.queued == moveQueue {
		return false
	}
	m.queue[m.queued] = msg
	m.queued++
	return true
}

func (m *moveSide) pop() uint8 {
	msg := m.queue[0]
	copy(m.queue[:], m.queue[1:])
	m.queue[moveQueue-1] = 0
	m.queued--
	return msg
}

const (
	badUnit = 1 + iota
	badWord
	badEnd
)

// moveModel lets either side be killed at any step, or nobody: where a death
// would end it all, a standstill would not be found.
func moveModel(bug moveBug, deaths bool) System[moveState] {
	return System[moveState]{
		First: []moveState{{}, {{patient: true}, {}}, {{}, {patient: true}}},
		Next: func(s moveState, step func(string, moveState)) {
			for i, name := range []string{"dialer ", "listener "} {
				if s[i].dead {
					continue
				}
				say := func(what string, to moveState) { step(name+what, to) }
				if deaths && !s[1-i].dead && !(s[i].eof && s[i].ended) {
					to := s
					to[i].dead = true
					say("is killed", to)
				}
				if i == 0 {
					moveOffer(s, say)
				}
				movePay(s, i, bug, say)
				moveWrite(s, i, bug, say)
				moveRead(s, i, bug, say)
			}
		},
		Wrong: func(s moveState) string {
			for _, m := range s {
				switch m.wrong {
				case badUnit:
					return "a unit is lost, repeated or out of order"
				case badWord:
					return "an honest word where none is due"
				case badEnd:
					return "the end has come before the last unit"
				}
				if m.in && !m.has || m.out && !m.has {
					return "rings are used that are not attached"
				}
			}
			return ""
		},
		Done: func(s moveState) bool {
			for _, m := range s {
				if !m.dead && !(m.eof && m.ended) {
					return false
				}
			}
			return true
		},
	}
}

// moveOffer: there has been traffic worth it, and there is memory or not.
func moveOffer(s moveState, say func(string, moveState)) {
	m := &s[0]
	if m.phase != mResting || m.owed != 0 || m.tries == 2 {
		return
	}
	m.tries++
	m.owed = mNone
	say("has no memory", s)
	m.phase, m.owed = mOffered, mOffer
	say("makes an offer", s)
}

// movePay says what is due, if there is room. A writer that finds none may
// write before it tries again.
func movePay(s moveState, i int, bug moveBug, say func(string, moveState)) {
	m := &s[i]
	if m.owed == 0 || m.ended || s[1-i].dead || !m.push(m.owed) {
		return
	}
	switch {
	case m.owed == mGo && !bug.astray, m.owed == mAccept && bug.hasty:
		m.out, m.first = true, m.sent
	}
	m.owed = 0
	say("says what is due", s)
}

func moveWrite(s moveState, i int, bug moveBug, say func(string, moveState)) {
	m, peer := &s[i], &s[1-i]
	if m.ended {
		return
	}
	if peer.dead {
		m.ended = true
		say("cannot write to the dead", s)
		return
	}
	if m.out && !(bug.afterIt && m.sent == moveUnits) {
		moveIntoRing(s, i, bug, say)
		return
	}
	if m.sent == moveUnits {
		if m.push(mEnd) {
			m.ended = true
			if m.phase != mGoing && !(m.phase == mAgreed && m.owed == 0) {
				m.phase = mFixed
			}
			m.owed = 0
			say("ends", s)
		}
		return
	}
	if m.push(m.sent) {
		m.sent++
		say("writes", s)
	}
}

func moveIntoRing(s moveState, i int, bug moveBug, say func(string, moveState)) {
	m, peer := &s[i], &s[1-i]
	switch {
	case m.sent == moveUnits:
		m.ended, m.ringEnd = true, true
		say("ends in its segment", s)
	case m.waits:
		if peer.queued > 0 && peer.queue[0] == mWake { // nobody else takes it off the socket
			peer.pop()
			m.waits = false
			say("is woken", s)
		}
	case m.tail-m.head < moveRing:
		m.tail++
		m.sent++
		say("writes into its ring", s)
	case bug.oneSock:
		m.waits = true
		say("sleeps", s)
	}
}

func moveRead(s moveState, i int, bug moveBug, say func(string, moveState)) {
	m, peer := &s[i], &s[1-i]
	reads := !m.patient || m.ended
	switch {
	case m.eof || !reads && (m.in || peer.queued == 0 || peer.queue[0] < mOffer || peer.queue[0] == mEnd):
	case m.in:
		moveOutOfRing(s, i, bug, say)
	case peer.queued > 0 && peer.queue[0] != mWake:
		msg := peer.pop()
		moveObey(s, i, msg, bug, say)
	case peer.queued == 0 && peer.dead && !bug.deaf:
		m.eof = true
		say("hears of the death", s)
	}
}

func moveOutOfRing(s moveState, i int, bug moveBug, say func(string, moveState)) {
	m, peer := &s[i], &s[1-i]
	switch {
	case peer.tail != peer.head:
		if peer.first+peer.head != m.got {
			m.wrong = badUnit
		}
		m.got++
		peer.head++
		if peer.waits { // no room is no matter: the other has something to read
			m.push(mWake)
		}
		say("reads the ring", s)
	case peer.ringEnd:
		m.eof = true
		if m.got != moveUnits {
			m.wrong = badEnd
		}
		say("reads the end of the ring", s)
	case peer.dead && !bug.deaf:
		m.eof = true
		say("hears of the death", s)
	}
}

// moveObey takes a message from the old socket.
func moveObey(s moveState, i int, msg uint8, bug moveBug, say func(string, moveState)) {
	m := &s[i]
	dialer := i == 0
	switch {
	case msg < mOffer:
		if msg != m.got {
			m.wrong = badUnit
		}
		m.got++
		say("reads", s)
	case msg == mEnd:
		m.eof = true
		if m.got != moveUnits {
			m.wrong = badEnd
		}
		if m.phase != mGoing {
			m.phase, m.owed = mFixed, 0
		}
		say("reads the end", s)
	case m.phase == mFixed && m.ended && msg != mGo:
		say("lets it be", s)
	case msg == mOffer && m.phase == mResting && m.owed == 0:
		m.owed = mNone
		say("declines", s)
		m.phase, m.owed, m.has = mAgreed, mAccept, true
		say("attaches", s)
	case msg == mAccept && m.phase == mOffered && m.owed == 0:
		moveAccepted(s, bug, say)
	case msg == mNone && m.phase != mGoing && m.owed != mOffer && m.owed != mAccept:
		m.phase = mResting
		say("hears that nothing comes of it", s)
	case msg == mGo && (dialer && m.phase == mGoing || !dialer && m.phase == mAgreed) && m.owed == 0:
		m.phase, m.in = mGoing, true
		if !dialer && !m.ended {
			m.owed = mGo
		}
		say("goes into the ring", s)
	default:
		m.wrong = badWord
		say("hears nonsense", s)
	}
}

func moveAccepted(s moveState, bug moveBug, say func(string, moveState)) {
	m := &s[0]
	m.phase, m.owed = mResting, mNone
	if bug.mute {
		m.owed = 0
	}
	say("cannot attach", s)
	m.phase, m.owed, m.has, m.in = mGoing, mGo, true, bug.early
	say("attaches", s)
}

func TestMove(t *testing.T) {
	alive := func(bug moveBug) System[moveState] { return moveModel(bug, false) }
	holds(t, alive, map[string]moveBug{
		"the dialer reads the ring as soon as it is there":    {early: true},
		"the listener writes the ring as soon as it is there": {hasty: true},
		"a writer goes on on the socket after its word":       {astray: true},
		"a writer that has gone says its end on the socket":   {afterIt: true},
		"who cannot attach does not say so":                   {mute: true},
		"the sleepers use the socket that brings data":        {oneSock: true},
	})
}

func TestMoveAndDeath(t *testing.T) {
	mortal := func(bug moveBug) System[moveState] { return moveModel(bug, true) }
	holds(t, mortal, map[string]moveBug{"nobody hears of a death": {deaf: true}})
}
