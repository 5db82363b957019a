// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxBeds is how many Beds of this process may be slept in at once.
	MaxBeds = 16

	// round is how often the night watch comes by. A sleep that it meets twice
	// is ended, so none lasts longer than two rounds.
	round = 5 * time.Millisecond

	maxEmpty = 20 // rounds past empty beds before the watch goes home
)

// Bed is where one goroutine at a time sleeps briefly, again and again, on
// another process's word. It leaves out what makes other sleeps dear: a
// time-out (arming a timer leaves a virtual machine) and a second word for
// cancellation. Instead one watch for the whole process goes round and ends the
// sleeps that it meets twice, and those that a Kick has just missed. Set Word
// before the first sleep; a Bed must not move.
type Bed struct {
	Word *atomic.Uint32 // shared with other processes; may be mapped read-only

	kicks  atomic.Uint32
	turn   atomic.Uint32 // kicks that the sleep under way has taken note of
	naps   atomic.Uint32 // sleeps begun
	asleep atomic.Bool
	late   atomic.Bool // the watch has ended the sleep

	met  uint32 // the watch's: naps when it last came by, asleep
	slot int    // where in the dormitory; the sleeper's
}

// dormitory has the beds that are slept in. It is one for the process, because
// threads are.
var dormitory struct {
	slots [MaxBeds]atomic.Pointer[Bed]
	on    atomic.Bool // the watch goes round

	mu    sync.Mutex
	timer *time.Timer // guarded by mu
	empty int         // guarded by mu: rounds since the watch has met anybody
}

// Enter takes one of the process's places and reports whether there was one.
// With true, Leave gives it back.
func (b *Bed) Enter() bool {
	if dormitory.slots[b.slot].CompareAndSwap(nil, b) {
		return true
	}
	for i := range dormitory.slots {
		if dormitory.slots[i].CompareAndSwap(nil, b) {
			b.slot = i
			return true
		}
	}
	return false
}

// Leave gives back what Enter took.
func (b *Bed) Leave() { dormitory.slots[b.slot].Store(nil) }

// Turn is what Sleep wants to know: read it before you look at what may have
// been changed by whoever calls Kick.
func (b *Bed) Turn() uint32 { return b.kicks.Load() }

// Kick ends the sleep under way, and one that begins with an earlier Turn. One
// that is on its way to the kernel is ended by the watch, within a round.
func (b *Bed) Kick() {
	b.kicks.Add(1)
	if b.asleep.Load() {
		b.shake()
	}
}

func (b *Bed) shake() { Wake(b.Word, math.MaxInt32) }

// Sleep returns once Word is not v or Kick was called since turn; overslept,
// after one to two rounds; and now and then for no reason. rested is false if
// this system lets nobody wait. The caller has Entered.
func (b *Bed) Sleep(v, turn uint32) (overslept, rested bool) {
	b.turn.Store(turn)
	b.naps.Add(1)
	b.asleep.Store(true)
	if !dormitory.on.Load() {
		callWatch()
	}
	rested = true
	if b.kicks.Load() == turn {
		rested = wait(b.Word, v)
	}
	b.asleep.Store(false)
	return b.late.Load() && b.late.Swap(false), rested
}

func callWatch() {
	d := &dormitory
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on.Swap(true) {
		return
	}
	d.empty = 0
	if d.timer == nil {
		d.timer = time.AfterFunc(round, goRound)
		return
	}
	d.timer.Reset(round)
}

// goRound is the watch. It goes home after a while of empty beds; the look
// after that meets whoever lay down while it still seemed to be there.
func goRound() {
	d := &dormitory
	d.mu.Lock()
	defer d.mu.Unlock()
	if lookRound() {
		d.empty = 0
	} else if d.empty++; d.empty > maxEmpty {
		d.on.Store(false)
		if !lookRound() || d.on.Swap(true) {
			return
		}
	}
	d.timer.Reset(round)
}

// lookRound ends the sleeps that it has met before, and reports whether there
// were any.
func lookRound() (met bool) {
	for i := range dormitory.slots {
		b := dormitory.slots[i].Load()
		if b == nil || !b.asleep.Load() {
			continue
		}
		met = true
		n := b.naps.Load()
		if n == b.met {
			b.late.Store(true)
		}
		if n == b.met || b.kicks.Load() != b.turn.Load() {
			b.shake()
		}
		b.met = n
	}
	return met
}
