// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Where the words of a run are, as in native/locks.c.
const (
	counterAt = 0 // protected by the lock
	targetAt  = 64
	roundAt   = 72
	phaseAt   = 128
	stampAt   = 136
	wordsSize = 4096
)

// holdFor is how long the lock is held until somebody sleeps for it.
const holdFor = 500 * time.Microsecond

// words are what the two processes agree by.
type words struct {
	side         party.Side
	locker       locker
	mem          []byte
	round, wakes uint64
	fairs        uint64 // rounds of fair
}

func role(open func(context.Context, party.Side) (locker, error)) party.Role {
	return func(ctx context.Context, s party.Side) (party.Runner, error) {
		f, err := os.OpenFile(s.Path(fmt.Sprintf("words-%x", s.Name)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := f.Truncate(wordsSize); err != nil {
			return nil, err
		}
		mem, err := unix.Mmap(int(f.Fd()), 0, wordsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return nil, err
		}
		if err := os.Setenv("PARLEY_RUNTIME_DIR", s.Dir); err != nil { // where ours have their names
			return nil, err
		}
		l, err := open(ctx, s)
		if err != nil {
			return nil, err
		}
		w := &words{side: s, locker: l, mem: mem}
		return w.run, nil
	}
}

func (w *words) run(c party.Command) (party.Figures, error) {
	switch {
	case c.Op == opWake:
		return w.wake(c)
	case c.Op == opFair2, c.Op == opFair4:
		return w.fair(c.Pause)
	case c.Op == opContended && w.side.Left:
		return party.Flow(c, func() error { return w.contend(c.Count) })
	case c.Op == opContended:
		return nil, w.contend(c.Count)
	case w.side.Left:
		return party.Flow(c, func() error { return w.alone(c.Count) })
	}
	return nil, nil
}

func (w *words) alone(n int) error {
	counter := shm.Uint64(w.mem, counterAt)
	for range n {
		if err := w.locker.lock(); err != nil {
			return err
		}
		counter.Store(counter.Load() + 1)
		if err := w.locker.unlock(); err != nil {
			return err
		}
	}
	return nil
}

// contend locks until both together have done so n times.
func (w *words) contend(n int) error {
	counter, target, round := shm.Uint64(w.mem, counterAt), shm.Uint64(w.mem, targetAt), shm.Uint64(w.mem, roundAt)
	w.round++
	if w.side.Left {
		target.Store(counter.Load() + uint64(n))
		round.Store(w.round)
	}
	until(round.Load, w.round)
	end := target.Load()
	for done := false; !done; {
		if err := w.locker.lock(); err != nil {
			return err
		}
		if done = counter.Load() >= end; !done {
			counter.Store(counter.Load() + 1)
		}
		if err := w.locker.unlock(); err != nil {
			return err
		}
	}
	return nil
}

func (w *words) wake(c party.Command) (party.Figures, error) {
	phase, stamp := shm.Uint64(w.mem, phaseAt), shm.Uint64(w.mem, stampAt)
	var took []float64
	for range c.Count {
		held := 2*w.wakes + 1
		w.wakes++
		if w.side.Left {
			until(phase.Load, held)
		}
		if err := w.locker.lock(); err != nil {
			return nil, err
		}
		if w.side.Left {
			took = append(took, float64(now()-stamp.Load()))
		} else {
			phase.Store(held)
			time.Sleep(holdFor)
			stamp.Store(now())
		}
		if err := w.locker.unlock(); err != nil {
			return nil, err
		}
		if w.side.Left {
			phase.Store(held + 1)
		} else {
			until(phase.Load, held+1)
		}
	}
	if !w.side.Left {
		return nil, nil
	}
	slices.Sort(took)
	return party.Figures{party.Time: took[len(took)/2]}, nil
}

// until yields until the word has the value.
func until(load func() uint64, value uint64) {
	for load() != value {
		runtime.Gosched()
	}
}

// now is CLOCK_MONOTONIC, the same in both processes.
func now() uint64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // fails for no known clock
	return uint64(t.Nano())
}
