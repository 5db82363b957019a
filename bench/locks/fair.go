// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/bits"
	"sync/atomic"
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

func (w *words) word(off int) *atomic.Uint64 { return shm.Uint64(w.mem, off) }

// fair locks for so long beside all others, and says how it was shared.
func (w *words) fair(d time.Duration) (party.Figures, error) {
	n, me, round, ended := w.side.Readers+1, w.side.Index, w.word(roundAt), w.word(endedAt)
	w.round++
	w.fairs++
	if w.side.Left {
		me = n - 1
		w.word(ownerAt).Store(0)
		w.word(longestAt).Store(0)
		round.Store(w.round)
	}
	until(round.Load, w.round)
	turns, waits, err := w.takeTurns(uint64(me+1), d)
	if err != nil {
		return nil, err
	}
	mine := partsAt + me*partSize
	w.word(mine).Store(turns)
	w.word(mine + 8).Store(waits.quantile(99))
	w.word(mine + 16).Store(waits.longest)
	ended.Add(1)
	if !w.side.Left {
		return nil, nil
	}
	until(ended.Load, w.fairs*uint64(n))
	return w.shared(n, d), nil
}

// takeTurns locks for so long as who, counted from 1.
func (w *words) takeTurns(who uint64, d time.Duration) (turns uint64, waits *histogram, err error) {
	owner, run, longest := w.word(ownerAt), w.word(runAt), w.word(longestAt)
	waits = new(histogram)
	for begun := time.Now(); ; turns++ { // unlike now, no system call
		before := time.Since(begun)
		if before >= d {
			return turns, waits, nil
		}
		if err := w.locker.lock(); err != nil {
			return 0, nil, err
		}
		waits.add(uint64(time.Since(begun) - before))
		if owner.Load() == who {
			run.Store(run.Load() + 1)
		} else {
			owner.Store(who)
			run.Store(1)
		}
		longest.Store(max(longest.Load(), run.Load()))
		if err := w.locker.unlock(); err != nil {
			return 0, nil, err
		}
	}
}

// shared puts together what the n processes had of it.
func (w *words) shared(n int, d time.Duration) party.Figures {
	sum, least, most, p99, worst := uint64(0), ^uint64(0), uint64(0), uint64(0), uint64(0)
	for i := range n {
		part := partsAt + i*partSize
		t := w.word(part).Load()
		sum, least, most = sum+t, min(least, t), max(most, t)
		p99, worst = max(p99, w.word(part+8).Load()), max(worst, w.word(part+16).Load())
	}
	return party.Figures{
		party.Time: float64(d) / float64(sum), party.Least: float64(least) / float64(sum), party.Most: float64(most) / float64(sum),
		party.LongestRun: float64(w.word(longestAt).Load()), party.WaitP99: float64(p99), party.LongestWait: float64(worst),
	}
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
