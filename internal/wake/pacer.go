// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"runtime"
	"time"
)

// Mode says whether a Pacer may spin.
type Mode uint8

// The modes.
const (
	Auto   Mode = iota // spin while it pays and the machine has room for it
	Off                // never
	Always             // whatever it costs, for processors of one's own
)

const (
	budget      = 40 * time.Microsecond  // about one wake-up of a sleeping processor
	worthwhile  = 100 * time.Microsecond // a sleep shorter than this might have been a spin
	roundAlways = time.Millisecond       // Always comes back this often, so that its caller can look round
	yieldEvery  = 10 * time.Microsecond

	glance    = 40 // looks that take no slot: half a microsecond
	clockMask = 63 // looks between two readings of the clock

	maxCredit = 16
	startWith = 8 // a new connection is given the benefit of the doubt
	onFailure = 4
	onMissed  = 2
	probeMask = 31 // every 32nd sleep without credit is preceded by a try
)

// Pacer is the memory of one waiting side: it spins only as long as spinning
// has lately ended waits. It belongs to one goroutine at a time.
type Pacer struct {
	mode   Mode
	credit int
	sleeps uint
	tried  bool // the wait under way has spun in vain
}

// NewPacer returns a Pacer for one side of one connection.
func NewPacer(mode Mode) Pacer {
	room.open()
	return Pacer{mode: mode, credit: startWith}
}

// Spin calls done until it returns true, and says whether it did. It returns
// false at once when spinning is off, has not been paying, or the machine has
// no processor to spare; else after about the price of one wake-up. done must
// be cheap and must not block.
func (p *Pacer) Spin(done func() bool) bool {
	p.tried = false
	if p.mode == Off || p.mode == Auto && !p.trusts() {
		return false
	}
	p.tried = true
	if p.glance(done) || p.linger(done) {
		p.credit = min(p.credit+1, maxCredit)
		return true
	}
	p.credit = max(p.credit-onFailure, 0)
	return false
}

// Slept tells how long the sleep was that followed a Spin in vain. A short one
// that had not been tried earns credit: spinning might have met it.
func (p *Pacer) Slept(d time.Duration) {
	p.sleeps++
	if d < worthwhile && !p.tried {
		p.credit = min(p.credit+onMissed, maxCredit)
	}
}

// Awake says that its side must not sleep, but look round and Spin again.
func (p *Pacer) Awake() bool { return p.mode == Always }

func (p *Pacer) trusts() bool {
	return (p.credit > 0 || p.sleeps&probeMask == 0) && room.max.Load() != 0
}

// glance looks for half a microsecond, too short to need a slot.
func (p *Pacer) glance(done func() bool) bool {
	if room.single.Load() {
		runtime.Gosched() // whoever would end the wait may be behind us in the queue
	}
	for range glance {
		if done() {
			return true
		}
		relax(1)
	}
	return false
}

// linger looks for the rest of the budget, in one of the process's few slots,
// and lets others run now and then.
func (p *Pacer) linger(done func() bool) bool {
	if p.mode == Auto && !room.enter() {
		return done()
	}
	if p.mode == Auto {
		defer room.leave()
	}
	limit := budget
	if p.mode == Always {
		limit = roundAlways
	}
	start := time.Now()
	room.refresh(start)
	yielded := time.Duration(0)
	for i := uint(1); ; i++ {
		if done() {
			return true
		}
		relax(1)
		if i&clockMask != 0 {
			continue
		}
		now := time.Since(start)
		if now > limit {
			return false
		}
		if now-yielded > yieldEvery || room.single.Load() {
			yielded = now
			runtime.Gosched()
		}
	}
}
