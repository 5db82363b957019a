// SPDX-License-Identifier: Apache-2.0

package procsync

import "time"

// Participant is one handle on an object, as people see it. All but its slot
// is what its process said of itself.
type Participant struct {
	Slot    int           `json:"slot"`
	PID     int           `json:"pid"` // in its own PID namespace
	UID     int           `json:"uid"`
	Label   string        `json:"label"`
	Alive   bool          `json:"alive"`                // the kernel says so
	Holds   int64         `json:"holds"`                // locks, permits or arrivals
	Writes  bool          `json:"writes,omitempty"`     // holds it alone
	Token   uint64        `json:"token,omitempty"`      // of its last acquisition
	Since   time.Duration `json:"held_ns,omitempty"`    // how long it has held, to a twentieth of a second
	Waiting time.Duration `json:"waiting_ns,omitempty"` // how long it has waited; 0: it does not
}

// Holder is who holds the lock; false: nobody.
func (m *Mutex) Holder() (p Participant, held bool) {
	_ = m.safely(func() error { p, held = m.holder(); return nil })
	return p, held
}

func (m *Mutex) holder() (Participant, bool) {
	for range 8 { // it may change hands while we look
		s := m.state.Load()
		owner := int(s & ownerMask)
		if owner == 0 || owner > m.slots || s&flagHanded != 0 {
			return Participant{}, false
		}
		p := m.participant(owner - 1)
		if m.state.Load()&ownerMask == uint64(owner) {
			return p, true
		}
	}
	return Participant{}, false
}

// Participants are all handles on the object, with what they hold and whether
// they wait. They may have changed since.
func (h *handle) Participants() (all []Participant) {
	_ = h.safely(func() error { all = h.participants(); return nil })
	return all
}

func (h *handle) participants() []Participant {
	if h.enterHandle("look") != nil {
		return nil
	}
	defer h.inside.Done()
	var all []Participant
	for i := range h.used() {
		if h.life(i).Load() != 0 || h.dirty(i) {
			all = append(all, h.participant(i))
		}
	}
	return all
}

func (h *handle) participant(i int) Participant {
	s := h.slotAt(i)
	p := Participant{
		Slot: i, PID: int(s.pid.Load()), UID: int(s.uid.Load()), Label: text(s.label),
		Alive: i == h.me || h.lives.held(i), Token: s.token.Load(),
	}
	p.Holds, p.Writes = h.holds(i)
	now := monotonic()
	if since := s.since.Load(); p.Holds > 0 && since != 0 && since <= now {
		p.Since = time.Duration(now - since)
	}
	if since := s.waiting.Load(); since != 0 {
		p.Waiting = max(1, time.Duration(now-min(since, now)))
	}
	return p
}

func (h *handle) holds(i int) (n int64, alone bool) {
	r := h.records[i].Load()
	switch {
	case h.kind == KindMutex:
		if s := h.state.Load(); s&ownerMask == uint64(i)+1 && s&flagHanded == 0 {
			return 1, true
		}
		return 0, false
	case h.kind == KindRWMutex && r >= recordWrites:
		return 1, true
	case h.kind == KindBarrier:
		if r>>partyBits != h.value.Load()&(1<<(64-partyBits)-1) {
			return 0, false
		}
		return int64(r & (1<<partyBits - 1)), false
	}
	return int64(min(r, MaxCount)), false
}
