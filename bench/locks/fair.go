// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/bits"
	"runtime"
	"time"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Where the words of fairness are.
const (
	ownerAt   = 192 // protected by the lock, as the next two: who had it last, counted from 1
	runAt     = 200 // how often in a row
	longestAt = 208 // the longest such run
	endedAt   = 256 // processes that have ended their part, of all such rounds
	partsAt   = 512 // 64 bytes each: turns, p99 and longest of the waits
	partSize  = 64
)

// fair locks for so long beside all others, and says how it was shared.
func (w *words) fair(d time.Duration) (party.Figures, error) {
	at := func(off int) interface {
		Load() uint64
		Store(uint64)
	} {
		return shm.Uint64(w.mem, off)
	}
	n, me := w.side.Readers+1, w.side.Index
	owner, run, longest, round, ended := at(ownerAt), at(runAt), at(longestAt), at(roundAt), shm.Uint64(w.mem, endedAt)
	w.round++
	w.fairs++
	if w.side.Left {
		me = n - 1
		owner.Store(0)
		longest.Store(0)
		round.Store(w.round)
	}
	until(round.Load, w.round)
	var waits histogram
	turns := uint64(0)
	for begun := time.Now(); ; turns++ { // unlike now, no system call
		before := time.Since(begun)
		if before >= d {
			break
		}
		if err := w.locker.lock(); err != nil {
			return nil, err
		}
		waits.add(uint64(time.Since(begun) - before))
		if owner.Load() == uint64(me+1) {
			run.Store(run.Load() + 1)
		} else {
			owner.Store(uint64(me + 1))
			run.Store(1)
		}
		longest.Store(max(longest.Load(), run.Load()))
		if err := w.locker.unlock(); err != nil {
			return nil, err
		}
	}
	mine := partsAt + me*partSize
	at(mine).Store(turns)
	at(mine + 8).Store(waits.quantile(99))
	at(mine + 16).Store(waits.longest)
	ended.Add(1)
	if !w.side.Left {
		return nil, nil
	}
	for ended.Load() != w.fairs*uint64(n) {
		runtime.Gosched()
	}
	sum, least, most, p99, worst := uint64(0), ^uint64(0), uint64(0), uint64(0), uint64(0)
	for i := range n {
		part := partsAt + i*partSize
		t := at(part).Load()
		sum, least, most = sum+t, min(least, t), max(most, t)
		p99, worst = max(p99, at(part+8).Load()), max(worst, at(part+16).Load())
	}
	return party.Figures{
		party.Time: float64(d) / float64(sum), party.Least: float64(least) / float64(sum), party.Most: float64(most) / float64(sum),
		party.LongestRun: float64(longest.Load()), party.WaitP99: float64(p99), party.LongestWait: float64(worst),
	}, nil
}

// histogram counts waits in steps of an eighth.
type histogram struct {
	counts  [64 * 8]uint64
	sum     uint64
	longest uint64
}

func (h *histogram) add(ns uint64) {
	ns = max(ns, 8)
	top := bits.Len64(ns) - 1
	h.counts[top*8+int(ns>>(top-3)&7)]++
	h.sum++
	h.longest = max(h.longest, ns)
}

// quantile is the lower bound of the step that has it.
func (h *histogram) quantile(percent uint64) uint64 {
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; seen*100 >= h.sum*percent && seen > 0 {
			return uint64(8+i%8) << (i / 8) >> 3
		}
	}
	return 0
}
