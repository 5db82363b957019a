// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// object of any kind, as far as the test needs it.
type anyObject interface {
	Close() error
	Participants() []procsync.Participant
	ProofFile() *os.File
}

// opened is a handle on a named object that others might reach, and all that
// can be done with it, which says an error.
func opened(t *testing.T, k procsync.Kind, name string) (anyObject, map[string]func() error) {
	t.Helper()
	ctx, c := soon(t), procsync.Reached(procsync.Config{})
	switch k {
	case procsync.KindMutex:
		m, err := procsync.OpenMutex(ctx, name, c)
		fatal(t, err)
		return m, map[string]func() error{
			"Lock": func() error { return m.Lock(ctx) }, "Unlock": m.Unlock, "MarkConsistent": m.MarkConsistent, "Reset": m.Reset,
			"TryLock": func() error { _, err := m.TryLock(); m.Holder(); return err },
		}
	case procsync.KindRWMutex:
		m, err := procsync.OpenRWMutex(ctx, name, c)
		fatal(t, err)
		return m, map[string]func() error{
			"Lock": func() error { _, err := m.Lock(ctx); return err }, "RLock": func() error { _, err := m.RLock(ctx); return err },
			"TryLock": func() error { _, _, err := m.TryLock(); return err }, "TryRLock": func() error { _, _, err := m.TryRLock(); return err },
			"Unlock": m.Unlock, "RUnlock": m.RUnlock, "MarkConsistent": m.MarkConsistent, "Reset": m.Reset,
		}
	case procsync.KindSemaphore:
		s, err := procsync.OpenSemaphore(ctx, name, 2, c)
		fatal(t, err)
		return s, map[string]func() error{
			"Acquire":    func() error { _, err := s.Acquire(ctx, 1); return err },
			"TryAcquire": func() error { _, _, err := s.TryAcquire(1); s.Available(); s.Held(); return err },
			"Release":    func() error { return s.Release(1) },
		}
	case procsync.KindEvent:
		e, err := procsync.OpenEvent(ctx, name, c)
		fatal(t, err)
		return e, map[string]func() error{"Wait": func() error { e.IsSet(); return e.Wait(ctx) }, "Set": e.Set, "Reset": e.Reset}
	case procsync.KindBarrier:
		b, err := procsync.OpenBarrier(ctx, name, 2, c)
		fatal(t, err)
		return b, map[string]func() error{"Wait": func() error { b.Arrived(); _, err := b.Wait(ctx); return err }}
	default:
		cond, err := procsync.OpenCond(ctx, name, c)
		fatal(t, err)
		m := create(t, mutexShape()).mutex(t)
		fatal(t, m.Lock(ctx))
		return cond, map[string]func() error{
			"Wait": func() error { return cond.Wait(ctx, m) }, "Signal": cond.Signal, "Broadcast": cond.Broadcast,
		}
	}
}

// TestCutShort: whoever may write the file of an object may cut it short. That
// is an error for everybody who uses it, and concerns no other object.
func TestCutShort(t *testing.T) {
	other, _ := opened(t, procsync.KindMutex, "whole")
	for _, k := range procsync.Kinds() {
		o, use := opened(t, k, "cut")
		after, _ := opened(t, procsync.KindMutex, "whole") // its neighbour on the list that the kernel walks
		fatal(t, os.Truncate(o.ProofFile().Name(), 0))
		for name, f := range use {
			if err := f(); !errors.Is(err, fault.Protocol) {
				t.Errorf("%s.%s: %v, want a protocol error", k, name, err)
			}
		}
		o.Participants()
		if err := o.Close(); err != nil {
			t.Errorf("%s: Close: %v", k, err)
		}
		fatal(t, after.Close())
		fatal(t, procsync.Remove(soon(t), k, "cut", true))
	}
	if ps := other.Participants(); len(ps) != 1 || !ps[0].Alive {
		t.Errorf("the other object has %+v", ps)
	}
	fatal(t, other.Close())
}

// TestCutShortUnderAWaiter: one that sleeps is told, and what it holds of its
// own process it gives back.
func TestCutShortUnderAWaiter(t *testing.T) {
	ctx := soon(t)
	a, err := procsync.OpenMutex(ctx, "under", procsync.Reached(procsync.Config{}))
	fatal(t, err)
	b, err := procsync.OpenMutex(ctx, "under", procsync.Reached(procsync.Config{NoSpin: true}))
	fatal(t, err)
	fatal(t, a.Lock(ctx))
	got := make(chan error, 2)
	for range cap(got) { // one sleeps in shared memory, one behind it
		go func() { got <- b.Lock(context.Background()) }()
	}
	until(t, func() bool { return anyWaits(a.Participants()) })
	fatal(t, os.Truncate(a.ProofFile().Name(), 0))
	for range cap(got) {
		if err := <-got; !errors.Is(err, fault.Protocol) {
			t.Errorf("a waiter: %v, want a protocol error", err)
		}
	}
	fatal(t, errors.Join(a.Close(), b.Close()))
	fatal(t, procsync.Remove(ctx, procsync.KindMutex, "under", true))
}
