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
	budget      = 50 * time.Microsecond // about one wake-up of a sleeping processor
	roundAlways = time.Millisecond      // Always comes back this often, so that its caller can look round
	yieldEvery  = time.Millisecond
	others      = 5 * time.Microsecond // a yield this long: the process has better things to do than to spin

	glance    = 40 // looks that take no slot: half a microsecond
	clockMask = 63 // looks between two readings of the clock

	maxPenalty = 256 // waits to sleep through after spinning in vain again and again
	remission  = 4   // of them forgiven for a sleep so short that spinning might have met it

	longTry     = 10 * time.Millisecond // more than two ticks of the slowest common kernel clock
	minPatience = 16                    // short tries in vain, at maxPenalty, before a long one
	maxPatience = 4096

	long    = 2 * budget // after a sleep this long the next wait will hardly be shorter
	maxLong = 32         // so many of them in a row, then try all the same

	brief   = 500 * time.Microsecond // a sleep this short may well have been had for less
	warmest = 4                      // so many of them in a row

	atOnce  = 25 * time.Microsecond // a sleep this short, right after a spin in vain: the peer had lacked our processor
	minRuns = 2                     // so many of them in a row before we part
	maxRuns = 1024
)

// Pacer is the memory of one waiting side: it spins as long as spinning ends
// waits. After each time in vain it sleeps through twice as many waits before
// it tries again, so that two sides on one processor, or a peer that is merely
// slow, cost next to nothing; two that sleep at each other find out within
// milliseconds that they need not.
//
// Two sides that wake each other can be kept on one processor by the kernel
// although another is idle: then each try takes the time from the peer and
// fails, for ever. It shows in the sleep that follows, which is over as soon
// as the processor is free; so one side then moves to another. Where it may
// not, only the kernel's clock tick moves one of them, so now and then, ever
// more rarely, a try lasts for a few ticks.
//
// It belongs to one goroutine at a time.
type Pacer struct {
	mode     Mode
	sparse   uint // looks are system calls: one in so many steps; else 1
	penalty  int  // what the last spin in vain has cost
	skip     int  // waits of it that are left
	vain     int  // tries in vain at maxPenalty since the last long one
	patience int  // how many of them until the next
	warm     int  // brief sleeps in a row, at most warmest
	longs    int  // long ones in a row

	ended time.Time // of the last wait; zero: not known, it was too short to ask

	lingered bool // the last wait was spun in vain
	crowded  int  // how often in a row such a one was followed by a sleep that ended at once
	runs     int  // how many of them until we part
}

// NewPacer returns a Pacer for one side of one connection.
func NewPacer(mode Mode) Pacer {
	room.open()
	return Pacer{mode: mode, sparse: 1, patience: minPatience, runs: minRuns}
}

// NewSparsePacer is NewPacer for a side whose looks are system calls.
func NewSparsePacer(mode Mode) Pacer {
	p := NewPacer(mode)
	p.sparse = 4
	return p
}

// Spin calls done until it returns true, and says whether it did. It returns
// false at once when spinning is off, has not been paying, or the machine has
// no processor to spare; else after about the price of one wake-up. done must
// be cheap and must not block.
func (p *Pacer) Spin(done func() bool) bool {
	if p.mode == Off || p.mode == Auto && (p.skip > 0 || !room.any()) {
		return false
	}
	met := p.glance(done)
	if met {
		p.ended = time.Time{}
	} else {
		if p.away() {
			return false
		}
		met = p.linger(done, p.limit())
	}
	if met {
		p.penalty, p.vain, p.crowded = 0, 0, 0
		p.patience = max(p.patience/2, minPatience)
		p.runs = max(p.runs/2, minRuns)
	} else {
		p.penalty = min(max(1, 2*p.penalty), maxPenalty)
		p.skip = p.penalty
	}
	return met
}

// away says that our side has been busy for so long since its last wait that
// the peer sleeps: the answer takes a wake-up, and spinning meanwhile would only
// keep the processor from the peer that the kernel means it to have.
func (p *Pacer) away() bool {
	return p.mode == Auto && !p.ended.IsZero() && time.Since(p.ended) > long
}

// limit is how long the next try lasts.
func (p *Pacer) limit() time.Duration {
	if p.mode == Always {
		return roundAlways
	}
	if p.penalty < maxPenalty {
		return budget
	}
	if p.vain++; p.vain < p.patience {
		return budget
	}
	p.vain, p.patience = 0, min(2*p.patience, maxPatience)
	return longTry
}

// Brief says that sleeps have lately been so short that the next is worth a
// thread of its own, which a sleep in the poller is not.
func (p *Pacer) Brief() bool { return p.warm >= warmest }

// Slept tells how long the sleep was that followed.
func (p *Pacer) Slept(d time.Duration) {
	if d < brief {
		p.warm = min(p.warm+1, warmest)
	} else {
		p.warm = 0
	}
	p.ended = time.Now()
	p.skip--
	if d < budget {
		p.skip -= remission
	}
	p.skip = max(p.skip, 0)
	p.patient(d)
	if p.lingered {
		p.lingered = false
		p.notice(d < atOnce)
	}
}

// patient lets the wait after a long sleep begin asleep, too: whoever speaks
// once in a while is answered by one who has to be woken.
func (p *Pacer) patient(d time.Duration) {
	if d < long {
		p.longs = 0
	} else if p.longs++; p.longs < maxLong {
		p.skip = max(p.skip, 1)
	} else {
		p.longs = 0
	}
}

// notice parts us from the peer once tries have failed again and again for
// want of a processor, and forgives them if it has helped to be elsewhere.
func (p *Pacer) notice(crowded bool) {
	if !crowded {
		p.crowded = 0
		return
	}
	if p.crowded++; p.crowded < p.runs || p.mode != Auto {
		return
	}
	p.crowded, p.runs = 0, min(2*p.runs, maxRuns)
	if room.part() {
		p.penalty, p.skip = 0, 0
	}
}

// Awake says that its side must not sleep, but look round and Spin again.
func (p *Pacer) Awake() bool { return p.mode == Always }

// Rest does nothing for n steps of a spin, unless nobody may spin: for a
// reader that has caught up with a busy writer, and would only take the cache
// line from it.
func (p *Pacer) Rest(n uint32) {
	if p.mode == Always || p.mode == Auto && room.max.Load() > 0 {
		relax(n)
	}
}

// glance looks for half a microsecond, too short to need a slot.
func (p *Pacer) glance(done func() bool) bool {
	if p.sparse > 1 {
		return done()
	}
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

// linger looks for as long as limit, in one of the process's few slots. It does
// not yield meanwhile: the runtime wakes a thread for whoever yields, which
// then competes with the peer, and other goroutines have the processors of
// others who may not spin. Where there is only one, and in a long try, it does,
// and sleeps if others have work.
func (p *Pacer) linger(done func() bool, limit time.Duration) bool {
	if p.mode == Auto {
		if !room.enter() {
			return done()
		}
		defer room.leave()
	}
	start := time.Now()
	room.refresh(start)
	yielded := time.Duration(0)
	for i := uint(1); ; i++ {
		if i%p.sparse == 0 && done() {
			p.ended = time.Now()
			return true
		}
		relax(1)
		if i&clockMask != 0 {
			continue
		}
		now := time.Since(start)
		if now > limit {
			p.lingered = true
			return false
		}
		if room.single.Load() || now-yielded > yieldEvery {
			if othersRun() && p.mode == Auto {
				return done()
			}
			yielded = now
		}
	}
}

// othersRun yields to runnable goroutines, and says whether there were any
// with work for longer than we should spin.
func othersRun() bool {
	start := time.Now()
	runtime.Gosched()
	return time.Since(start) > others
}
