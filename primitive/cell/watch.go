// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/futex"
)

const (
	safety = time.Second // how long a sleep may last before it looks by itself

	firstPause = 50 * time.Microsecond // between two looks where there is nobody to wake us
	maxPause   = 5 * time.Millisecond

	maxFalse = 16 // bells without a value that a writer may ring before we take our time
)

// Watch returns the latest value as soon as its sequence number is not after;
// 0 waits for the first. Values that were replaced meanwhile are not seen:
// that is what a cell is. It ends with ctx, with Close (fault.Closed), and
// with io.EOF once the writer has closed the cell and the last value is the
// one after names. A cell does not know that its writer died: whoever holds
// the proof (a connection, a lock) cancels ctx.
//
// It spins while that has lately been paying, then sleeps in the kernel, which
// takes a thread; beyond 64 of those in the process, for a writer with NoWatch
// and elsewhere than on Linux it looks every 5 ms or more often.
func (r *Reader[T]) Watch(ctx context.Context, after uint64) (v T, seq uint64, err error) {
	var none T
	if !r.enter() {
		return none, 0, errClosed()
	}
	defer r.inside.Done()
	pause, overslept, falseBells := firstPause, false, 0
	for {
		// In the opposite order of the writer: value, state, bell.
		bell := r.bell.Load()
		ended := r.state.Load()&stateEnded != 0
		v, seq, ok := r.Get()
		if ok && seq != after {
			if overslept && r.bell.Load() == bell {
				r.late.Add(1)
			}
			return v, seq, nil
		}
		outrun := !ok && seq != 0
		if ended && !outrun && !r.across {
			return none, seq, io.EOF
		}
		c := r.cancel.Load() // before the contexts are asked: their end changes it
		if err := r.over(ctx); err != nil {
			return none, 0, err
		}
		if outrun || !r.wakes {
			r.pause(ctx, &pause)
			continue
		}
		rested := false
		overslept, rested = r.rest(ctx, bell, c)
		if r.bell.Load() != bell && r.seq.Load() == after {
			falseBells++
		}
		if !rested || falseBells > maxFalse {
			r.pause(ctx, &pause)
		}
	}
}

func (r *Reader[T]) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
		return false
	default:
		r.inside.Add(1)
		return true
	}
}

func (r *Reader[T]) over(ctx context.Context) error {
	select {
	case <-r.closed:
		return errClosed()
	case <-ctx.Done():
		return fault.Wrap("watch cell", "", ctx.Err())
	default:
		return nil
	}
}

// rest waits until the bell is not bell or cancel not c. rested is false where
// the kernel cannot do it, or has enough threads of ours.
func (r *Reader[T]) rest(ctx context.Context, bell, c uint32) (overslept, rested bool) {
	if r.spin(bell, c) {
		return false, true
	}
	if !futex.Enter() {
		return false, false
	}
	defer futex.Leave()
	defer context.AfterFunc(ctx, r.interrupt)()
	start := time.Now()
	overslept, rested = futex.Wait(r.bell, bell, &r.cancel, c, safety)
	if r.pacerMu.TryLock() {
		r.pacer.Slept(time.Since(start))
		r.pacerMu.Unlock()
	}
	return overslept, rested
}

// spin looks for a while if that pays. One Watch at a time does: the others
// would take the processor from the writer.
func (r *Reader[T]) spin(bell, c uint32) bool {
	if !r.pacerMu.TryLock() {
		return false
	}
	defer r.pacerMu.Unlock()
	return r.pacer.Spin(func() bool { return r.bell.Load() != bell || r.cancel.Load() != c })
}

// pause waits a little longer each time.
func (r *Reader[T]) pause(ctx context.Context, d *time.Duration) {
	t := time.NewTimer(*d)
	defer t.Stop()
	*d = min(2**d, maxPause)
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-r.closed:
	}
}

func errClosed() error {
	return fault.New(fault.Closed, "watch cell", "", errors.New("the reader was closed"))
}
