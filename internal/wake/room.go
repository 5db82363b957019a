// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/internal/cgroup"
)

const (
	refreshEvery = 2 * time.Second
	pauseFor     = 10 * time.Second // no spinning after the kernel has throttled us
)

// room is what the process may spend on spinning. It is one for the process,
// because processors are: a limit for each connection would limit nothing.
var room = spinRoom{move: part}

type spinRoom struct {
	once   sync.Once    // the first look
	max    atomic.Int32 // how many may spin at once; 0: nobody
	single atomic.Bool  // GOMAXPROCS is 1: a spinner keeps everybody else waiting
	free   atomic.Bool  // nobody has pinned us
	move   func() bool  // to another processor

	spinners atomic.Int32
	next     atomic.Int64 // when to look again, in Unix nanoseconds

	mu        sync.Mutex
	throttled int64     // guarded by mu
	until     time.Time // guarded by mu: no spinning before
}

func (r *spinRoom) open() {
	r.once.Do(func() {
		r.throttled = cgroup.Throttled()
		r.look(time.Now())
	})
}

// any says whether anybody may spin. While nobody may, nobody lingers either,
// so it is here that the machine is looked at again.
func (r *spinRoom) any() bool {
	if r.max.Load() > 0 {
		return true
	}
	r.refresh(time.Now())
	return r.max.Load() > 0
}

// Slots is how many may spin at once.
func Slots() int32 { return room.max.Load() }

func (r *spinRoom) enter() bool {
	if r.spinners.Add(1) <= r.max.Load() {
		return true
	}
	r.spinners.Add(-1)
	return false
}

func (r *spinRoom) leave() { r.spinners.Add(-1) }

// part moves the calling thread to another processor, if that is up to us.
func (r *spinRoom) part() bool { return r.free.Load() && r.move() }

// refresh has the machine looked at again if it has not been lately: beside the
// caller, who waits for a peer, while a look takes some hundred microseconds.
func (r *spinRoom) refresh(now time.Time) {
	due := r.next.Load()
	if now.UnixNano() < due || !r.next.CompareAndSwap(due, now.Add(refreshEvery).UnixNano()) {
		return
	}
	go r.look(now)
}

func (r *spinRoom) look(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next.Store(now.Add(refreshEvery).UnixNano())
	procs := runtime.GOMAXPROCS(0)
	r.single.Store(procs == 1)
	r.free.Store(unpinned())
	quota, limited := cgroup.CPUQuota()
	if limited {
		if n := cgroup.Throttled(); n != r.throttled {
			r.throttled, r.until = n, now.Add(pauseFor)
		}
	}
	r.max.Store(spinnersFor(procs, affinity(), quota, now.Before(r.until)))
}

// spinnersFor is how many may spin: a spinner on the only processor, or out of
// a quota for less than two, takes the time from the one it waits for.
func spinnersFor(procs, affinity int, quota float64, throttled bool) int32 {
	if affinity < 2 || quota < 2 || throttled {
		return 0
	}
	return int32(max(1, procs/2))
}
