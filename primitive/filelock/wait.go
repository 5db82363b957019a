// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// The kernel wakes nobody but a thread that sleeps in the call, and such a
// sleep ends with no context. So a waiter looks again: after the first pause,
// then after twice as long each time, up to the last.
const (
	firstPause = 100 * time.Microsecond
	lastPause  = 20 * time.Millisecond
)

// Lock takes the lock and waits until it can or ctx ends. Goroutines that wait
// on one Lock take turns, and only the first asks the kernel, which is at most
// 20 ms after the lock was freed. Nothing is stated about who comes first. No
// waiter holds a thread.
func (l *Lock) Lock(ctx context.Context, mode Mode) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return fault.Wrap("lock", l.f.Name(), context.Cause(ctx))
	}
	defer func() { <-l.turn }()
	return until(ctx, l.f.Name(), func() error { return l.TryLock(mode) })
}

// until tries until it works, or fails for another reason than fault.InUse.
func until(ctx context.Context, name string, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if ctx.Err() != nil {
			return fault.Wrap("lock", name, context.Cause(ctx))
		}
		if err := try(); !errors.Is(err, fault.InUse) {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}
