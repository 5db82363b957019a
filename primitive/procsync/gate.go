// SPDX-License-Identifier: Apache-2.0

package procsync

// The gate of a semaphore, or of a lock for its readers. While it is open
// nobody waits and nobody writes, and whoever comes needs one change of its own
// record: it makes the record larger, then looks at the gate, and at the other
// records if they count. If that was one too many it makes the record smaller
// again, as if it had held for that moment, and goes the long way. So a record
// never lies, and whoever dies in between leaves nothing to be reconstructed.
//
// The gate is shut within the monitor, before the records are looked at, by
// everybody who comes the long way: so of one that passes and one that shuts, one
// sees the other. It is opened within the monitor by one who was granted what it
// wants, if nobody waits. internal/model/gate_test.go goes through all of it.

// flagShut, of the object's flags: the gate is shut.
const flagShut = 1 << 2

// shutGate is called within the monitor.
func (h *handle) shutGate() {
	if h.flags.Load()&flagShut == 0 {
		h.flags.Or(flagShut)
	}
}

// openGate is called within the monitor, by one who no longer waits. dead says
// that it stays shut for one who seems to have died waiting.
func (h *handle) openGate() (dead bool) {
	for i := range h.used() {
		switch {
		case h.kind == KindRWMutex && h.records[i].Load() >= recordWrites:
			return false
		case h.wants[i].Load() != 0:
			return !h.seemsAlive(i)
		}
	}
	h.flags.And(^uint32(flagShut))
	return false
}

// pass is the fast path of a semaphore.
func (s *Semaphore) pass(n int64) (token uint64, ok bool) {
	if s.flags.Load() != 0 || s.obj.count.Load() != 0 || n < 1 {
		return 0, false
	}
	mine, amount := s.records[s.me], uint64(n)
	has := mine.Load()
	if amount > s.limit || has > s.limit-amount || !mine.CompareAndSwap(has, has+amount) {
		return 0, false
	}
	if s.flags.Load() != 0 || s.tooMany() {
		s.stepBack(amount, s.fits)
		return 0, false
	}
	takeOver()
	token = s.value.Add(1)
	s.note(token)
	return token, true
}

// tooMany says whether more is held than there is.
func (s *Semaphore) tooMany() bool {
	left := s.limit
	for _, r := range s.records[:s.used()] {
		n := r.Load()
		if n > left {
			return true
		}
		left -= n
	}
	return false
}

// pass is the fast path of a reader.
func (m *RWMutex) pass() (token uint64, ok bool) {
	if m.flags.Load() != 0 || m.obj.count.Load() != 0 {
		return 0, false
	}
	mine := m.records[m.me]
	has := mine.Load()
	if has >= maxReads || !mine.CompareAndSwap(has, has+1) {
		return 0, false
	}
	if m.flags.Load() != 0 {
		m.stepBack(1, m.fits)
		return 0, false
	}
	takeOver()
	token = readToken(tokenOf(m.state.Load()))
	m.note(token)
	return token, true
}

// stepBack gives back what pass took too much, and wakes whom it was in the way
// of.
func (h *handle) stepBack(amount uint64, fits func(int, uint64) bool) {
	for mine := h.records[h.me]; ; {
		has := mine.Load()
		if has >= recordWrites || mine.CompareAndSwap(has, has-min(has, amount)) {
			break
		}
	}
	h.ringAtGate(fits)
}

// ringAtGate wakes who can go on after a record was made smaller. While the
// gate is open nobody waits; who shuts it looks at the records after that.
func (h *handle) ringAtGate(fits func(int, uint64) bool) {
	if h.flags.Load() != 0 {
		h.ringNext(fits)
	}
}
