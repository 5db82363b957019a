// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// worker does random operations and writes down each before it begins and
// after it has ended, into a file, which survives it.
type worker struct {
	log  *os.File
	rng  *rand.Rand
	next int
	err  error
}

// write fails the worker, not the history.
func (w *worker) write(format string, args ...any) {
	_, err := fmt.Fprintf(w.log, format, args...)
	w.err = errors.Join(w.err, err)
}

func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// do is one operation of the log. run says the token, and whether it was had.
func (w *worker) do(op string, arg int, run func() (token uint64, ok bool, err error)) (result string) {
	id := w.next
	w.next++
	w.write("C %d %s %d %d\n", id, op, arg, now())
	began := now()
	token, ok, err := run()
	ended := now()
	switch kind := fault.KindOf(err); {
	case errors.Is(err, procsync.ErrOwnerDied):
		result = "died"
	case err == nil && ok:
		result = "ok"
	case err == nil:
		result = "no"
	case kind == fault.Timeout:
		result = "ended"
	default:
		w.err = errors.Join(w.err, err)
		result = "failed"
	}
	w.write("R %d %s %d %d %d\n", id, result, token, began, ended)
	return result
}

// patience is short for some, so that waits end without what they wait for.
func (w *worker) patience() (context.Context, context.CancelFunc) {
	d := 30 * time.Second
	if w.rng.IntN(4) == 0 {
		d = time.Duration(w.rng.IntN(1000)) * time.Microsecond
	}
	return context.WithTimeout(context.Background(), d)
}

func (w *worker) wait(op string, arg int, lock func(ctx context.Context) (uint64, error)) string {
	ctx, cancel := w.patience()
	defer cancel()
	return w.do(op, arg, func() (uint64, bool, error) {
		token, err := lock(ctx)
		return token, true, err
	})
}

func (w *worker) must(op string, arg int, f func() error) {
	w.do(op, arg, func() (uint64, bool, error) { return 0, true, f() })
}

func took(result string) bool { return result == "ok" || result == "died" }

// dwell is how long something is held: often not at all, at times long enough
// for others to fall asleep over it.
func (w *worker) dwell() {
	if w.rng.IntN(4) == 0 {
		<-time.After(time.Duration(w.rng.IntN(300)) * time.Microsecond)
	}
}

// work is the role: OBJECT LOG SEED KIND OPERATIONS.
func work(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.Args[1], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w := &worker{log: log, rng: rand.New(rand.NewPCG(uint64(number(p.Args[2])), 1))}
	turn, err := w.turns(o, p.Args[3])
	if err != nil {
		return err
	}
	p.Say("go")
	if _, err := p.Hear(); err != nil {
		return err
	}
	for range number(p.Args[4]) {
		turn()
	}
	p.Say("done")
	if _, err := p.Hear(); err != nil && w.err == nil {
		return nil
	}
	return w.err
}

func (w *worker) turns(o *object, kind string) (func(), error) {
	c := procsync.Config{NoSpin: w.rng.IntN(2) == 0}
	switch kind {
	case "mutex":
		m, err := procsync.AttachMutex(o.mem, o.file, c)
		return func() { w.mutex(m) }, err
	case "rwmutex":
		m, err := procsync.AttachRWMutex(o.mem, o.file, c)
		return func() { w.rwmutex(m) }, err
	case "semaphore":
		s, err := procsync.AttachSemaphore(o.mem, o.file, c)
		return func() { w.semaphore(s) }, err
	case "cond":
		path, err := os.ReadFile(o.path + ".mutex")
		if err != nil {
			return nil, err
		}
		other, err := openObject(string(path))
		if err != nil {
			return nil, err
		}
		m, err := procsync.AttachMutex(other.mem, other.file, c)
		if err != nil {
			return nil, err
		}
		cond, err := procsync.AttachCond(o.mem, o.file, c)
		return func() { w.cond(cond, m) }, err
	case "event":
		e, err := procsync.AttachEvent(o.mem, o.file, c)
		return func() { w.event(e) }, err
	case "barrier":
		b, err := procsync.AttachBarrier(o.mem, o.file, c)
		return func() { w.barrier(b) }, err
	}
	return nil, fmt.Errorf("no kind %q", kind)
}

func (w *worker) mutex(m *procsync.Mutex) {
	result := ""
	if w.rng.IntN(4) == 0 {
		result = w.do("trylock", 0, func() (uint64, bool, error) {
			ok, err := m.TryLock()
			if !ok {
				return 0, false, err
			}
			return m.Token(), true, err
		})
	} else {
		result = w.wait("lock", 0, func(ctx context.Context) (uint64, error) {
			err := m.Lock(ctx)
			if err != nil && !errors.Is(err, procsync.ErrOwnerDied) {
				return 0, err
			}
			return m.Token(), err
		})
	}
	if !took(result) {
		return
	}
	w.dwell()
	if result == "died" {
		w.must("mark", 0, m.MarkConsistent)
	}
	w.must("unlock", 0, m.Unlock)
}

// cond waits for the condition, or signals it, be it without the mutex.
func (w *worker) cond(c *procsync.Cond, m *procsync.Mutex) {
	result := w.wait("lock", 0, func(ctx context.Context) (uint64, error) { return 0, m.Lock(ctx) })
	if !took(result) {
		return
	}
	if result == "died" {
		w.must("mark", 0, m.MarkConsistent)
	}
	if w.rng.IntN(2) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(w.rng.IntN(3000))*time.Microsecond)
		defer cancel()
		result = w.do("cwait", 0, func() (uint64, bool, error) { return 0, true, c.Wait(ctx, m) })
		if !took(result) {
			return
		}
		if result == "died" {
			w.must("mark", 0, m.MarkConsistent)
		}
	}
	w.dwell()
	late := w.rng.IntN(3) == 0
	if !late {
		w.signal(c)
	}
	w.must("unlock", 0, m.Unlock)
	if late {
		w.signal(c)
	}
}

func (w *worker) signal(c *procsync.Cond) {
	switch w.rng.IntN(4) {
	case 0:
		w.must("broadcast", 0, c.Broadcast)
	case 1, 2:
		w.must("signal", 0, c.Signal)
	}
}

func (w *worker) rwmutex(m *procsync.RWMutex) {
	result := ""
	switch w.rng.IntN(6) {
	case 0:
		result = w.do("trylock", 0, m.TryLock)
	case 1, 2:
		result = w.wait("lock", 0, m.Lock)
	default:
		w.reader(m)
		return
	}
	if !took(result) {
		return
	}
	w.dwell()
	if result == "died" {
		w.must("mark", 0, m.MarkConsistent)
	}
	w.must("unlock", 0, m.Unlock)
}

func (w *worker) reader(m *procsync.RWMutex) {
	result := ""
	if w.rng.IntN(4) == 0 {
		result = w.do("tryrlock", 0, m.TryRLock)
	} else {
		result = w.wait("rlock", 0, m.RLock)
	}
	if took(result) {
		w.dwell()
		w.must("runlock", 1, m.RUnlock)
	}
}

func (w *worker) semaphore(s *procsync.Semaphore) {
	n := 1 + w.rng.IntN(2)
	result := ""
	if w.rng.IntN(3) == 0 {
		result = w.do("try", n, func() (uint64, bool, error) { return s.TryAcquire(int64(n)) })
	} else {
		result = w.wait("acquire", n, func(ctx context.Context) (uint64, error) { return s.Acquire(ctx, int64(n)) })
	}
	if took(result) {
		w.dwell()
		w.must("release", n, func() error { return s.Release(int64(n)) })
	}
}

func (w *worker) event(e *procsync.Event) {
	switch w.rng.IntN(5) {
	case 0:
		w.must("set", 0, e.Set)
	case 1:
		w.must("reset", 0, e.Reset)
	case 2:
		w.do("isset", 0, func() (uint64, bool, error) { return 0, e.IsSet(), nil })
	default:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(w.rng.IntN(2000))*time.Microsecond)
		defer cancel()
		w.do("wait", 0, func() (uint64, bool, error) { return 0, true, e.Wait(ctx) })
	}
}

// barrier is two operations at once: to arrive, and to pass.
func (w *worker) barrier(b *procsync.Barrier) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(w.rng.IntN(5000))*time.Microsecond)
	defer cancel()
	w.do("arrive", 0, func() (uint64, bool, error) {
		_, err := b.Wait(ctx)
		return 0, true, err
	})
}
