// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// attached returns two handles on a new object of this process's own memory.
func attached(t *testing.T, s Shape) (a, b *handle) {
	t.Helper()
	size, err := Size(s)
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, size)
	if err := Format(mem, s); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "lives"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	var hs [2]*handle
	for i := range hs {
		h, err := attachBytes(mem, f, s.Kind, Config{NoSpin: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		hs[i] = h
	}
	return hs[0], hs[1]
}

// TestFastPathIsOneChange: what nobody else wants is had by a change of the
// own record alone (and, for permits, of the counter that tokens come from), and
// given back by another. The monitor is not entered.
func TestFastPathIsOneChange(t *testing.T) {
	h, _ := attached(t, Shape{Kind: KindSemaphore, Participants: 4, Count: 3})
	s := newSemaphore(h)
	for want := range uint64(3) {
		if token, err := s.Acquire(t.Context(), 1); err != nil || token != want+1 || s.value.Load() != want+1 {
			t.Errorf("token %d, %v, the counter is %d; want %d", token, err, s.value.Load(), want+1)
		}
	}
	if err := s.Release(3); err != nil || s.records[s.me].Load() != 0 {
		t.Errorf("Release: %v, the record is %d", err, s.records[s.me].Load())
	}
	if s.state.Load() != 0 || s.flags.Load() != 0 {
		t.Errorf("the lock word is %#x, the flags %#x: somebody went the long way", s.state.Load(), s.flags.Load())
	}

	h, _ = attached(t, Shape{Kind: KindRWMutex, Participants: 4})
	m := newRWMutex(h)
	for want := range uint64(3) {
		if token, err := m.RLock(t.Context()); err != nil || token != 1 || m.records[m.me].Load() != want+1 {
			t.Errorf("token %d, %v, the record is %d; want 1 and %d", token, err, m.records[m.me].Load(), want+1)
		}
	}
	for range 3 {
		if err := m.RUnlock(); err != nil {
			t.Error(err)
		}
	}
	if m.records[m.me].Load() != 0 || m.state.Load() != 0 || m.flags.Load() != 0 {
		t.Errorf("record %d, lock word %#x, flags %#x", m.records[m.me].Load(), m.state.Load(), m.flags.Load())
	}
}

// TestGateShutsAndOpens: while somebody holds all there is, whoever comes
// shuts the gate and waits; when nobody waits any more it is open again.
func TestGateShutsAndOpens(t *testing.T) {
	a, b := attached(t, Shape{Kind: KindSemaphore, Participants: 4, Count: 1})
	s, other := newSemaphore(a), newSemaphore(b)
	one := func(s *Semaphore) {
		t.Helper()
		if _, err := s.Acquire(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
	}
	one(s)
	got := make(chan struct{})
	go func() { one(other); close(got) }()
	asleep(t, other.handle)
	if s.flags.Load() != flagShut {
		t.Errorf("somebody waits, and the flags are %#x", s.flags.Load())
	}
	if err := s.Release(1); err != nil {
		t.Fatal(err)
	}
	<-got
	if s.flags.Load() != 0 {
		t.Errorf("nobody waits, and the flags are %#x", s.flags.Load())
	}
	if s.records[s.me].Load() != 0 || s.records[other.me].Load() != 1 {
		t.Errorf("the records are %d and %d", s.records[s.me].Load(), s.records[other.me].Load())
	}
}

// TestStepBackWakes: whoever was kept from what it waits for by one that tried
// and gave up is woken by that one.
func TestStepBackWakes(t *testing.T) {
	a, b := attached(t, Shape{Kind: KindRWMutex, Participants: 4})
	m, other := newRWMutex(a), newRWMutex(b)
	mine := m.records[m.me]
	mine.Store(1) // as in the middle of pass, before it looks at the gate
	got := make(chan error)
	go func() { _, err := other.Lock(context.Background()); got <- err }()
	asleep(t, other.handle)
	bell := other.slot.obj.word.Load()
	m.stepBack(1, m.fits)
	if other.slot.obj.word.Load() == bell {
		t.Error("the writer was not rung")
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestReleaseRingsOurOwn: a goroutine of the same handle that waits is rung
// too, and does not sleep until it looks by itself.
func TestReleaseRingsOurOwn(t *testing.T) {
	h, _ := attached(t, Shape{Kind: KindSemaphore, Participants: 2, Count: 1})
	s := newSemaphore(h)
	if _, err := s.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() { _, err := s.Acquire(context.Background(), 1); got <- err }()
	asleep(t, s.handle)
	bell := s.slot.obj.word.Load()
	if err := s.Release(1); err != nil {
		t.Fatal(err)
	}
	if s.slot.obj.word.Load() == bell {
		t.Error("it was not rung")
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// TestSleepersAreRung: whoever makes it so that a sleeper can go on rings it:
// none has to wait for the look that is only for safety.
func TestSleepersAreRung(t *testing.T) {
	bg := context.Background()
	for name, c := range map[string]struct {
		shape Shape
		hold  func(a *handle) error // before b sleeps
		sleep func(b *handle, m *Mutex) error
		act   func(a *handle) error
	}{
		"Mutex.Unlock": {Shape{Kind: KindMutex}, func(a *handle) error { return (&Mutex{handle: a}).Lock(bg) },
			func(b *handle, _ *Mutex) error { return (&Mutex{handle: b}).Lock(bg) }, func(a *handle) error { return (&Mutex{handle: a}).Unlock() }},
		"RWMutex.Unlock": {Shape{Kind: KindRWMutex}, func(a *handle) error { _, err := newRWMutex(a).Lock(bg); return err },
			func(b *handle, _ *Mutex) error { _, err := newRWMutex(b).RLock(bg); return err }, func(a *handle) error { return newRWMutex(a).Unlock() }},
		"RWMutex.RUnlock": {Shape{Kind: KindRWMutex}, func(a *handle) error { _, err := newRWMutex(a).RLock(bg); return err },
			func(b *handle, _ *Mutex) error { _, err := newRWMutex(b).Lock(bg); return err }, func(a *handle) error { return newRWMutex(a).RUnlock() }},
		"Semaphore.Release": {Shape{Kind: KindSemaphore, Count: 2}, func(a *handle) error { _, err := newSemaphore(a).Acquire(bg, 1); return err },
			func(b *handle, _ *Mutex) error { _, err := newSemaphore(b).Acquire(bg, 2); return err }, func(a *handle) error { return newSemaphore(a).Release(1) }},
		"Cond.Signal":    {Shape{Kind: KindCond}, nil, waitForCond, func(a *handle) error { return (&Cond{a}).Signal() }},
		"Cond.Broadcast": {Shape{Kind: KindCond}, nil, waitForCond, func(a *handle) error { return (&Cond{a}).Broadcast() }},
		"Event.Set": {Shape{Kind: KindEvent}, nil, func(b *handle, _ *Mutex) error { return (&Event{b}).Wait(bg) },
			func(a *handle) error { return (&Event{a}).Set() }},
		"Barrier.Wait": {Shape{Kind: KindBarrier, Count: 2}, nil, func(b *handle, _ *Mutex) error { _, err := (&Barrier{b}).Wait(bg); return err },
			func(a *handle) error { _, err := (&Barrier{a}).Wait(bg); return err }},
	} {
		a, b := attached(t, c.shape)
		of, _ := attached(t, Shape{Kind: KindMutex})
		m := &Mutex{handle: of}
		if err := m.Lock(bg); err != nil {
			t.Fatal(err)
		}
		if c.hold != nil {
			if err := c.hold(a); err != nil {
				t.Fatal(err)
			}
		}
		got := make(chan error)
		go func() { got <- c.sleep(b, m) }()
		l := &b.obj
		if c.shape.Kind == KindMutex {
			l = &b.lock
		}
		sleeps(t, l)
		bell := l.bell.word.Load()
		if err := c.act(a); err != nil {
			t.Fatal(err)
		}
		if l.bell.word.Load() == bell {
			t.Errorf("%s does not ring", name)
		}
		if err := <-got; err != nil {
			t.Errorf("%s: the sleeper: %v", name, err)
		}
	}
}

func waitForCond(b *handle, m *Mutex) error { return (&Cond{b}).Wait(context.Background(), m) }

func asleep(t *testing.T, h *handle) { t.Helper(); sleeps(t, &h.obj) }

// sleeps waits until the first of the line sleeps: it has looked, and will not
// look again before it is rung.
func sleeps(t *testing.T, l *line) {
	t.Helper()
	for end := time.Now().Add(time.Minute); l.bell.rests.Load() == 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it did not come to that")
		}
	}
}
