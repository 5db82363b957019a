// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

func TestMutexExcludes(t *testing.T) {
	o := create(t, mutexShape())
	a, b := o.mutex(t), o.mutex(t)
	n := 0
	var wg sync.WaitGroup
	for _, m := range []*procsync.Mutex{a, a, a, b, b} {
		wg.Go(func() {
			for range 2000 {
				if err := m.Lock(soon(t)); err != nil {
					t.Error(err)
					return
				}
				n++
				if err := m.Unlock(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n != 10000 {
		t.Errorf("counted %d, want 10000", n)
	}
}

func TestAnyGoroutineUnlocks(t *testing.T) {
	o := create(t, mutexShape())
	m, other := o.mutex(t), o.mutex(t)
	if err := m.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ok, err := other.TryLock(); ok || err != nil {
		t.Fatalf("TryLock of a held lock: %v, %v", ok, err)
	}
	if err := other.Unlock(); !errors.Is(err, procsync.ErrNotHeld) {
		t.Errorf("another handle's Unlock: %v, want ErrNotHeld", err)
	}
	done := make(chan error)
	go func() { done <- m.Unlock() }()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if ok, err := other.TryLock(); !ok || err != nil {
		t.Errorf("TryLock of a free lock: %v, %v", ok, err)
	}
}

func TestLockEnds(t *testing.T) {
	o := create(t, mutexShape())
	m, other := o.mutex(t), o.mutex(t)
	if err := m.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := other.Lock(ctx); !errors.Is(err, fault.Timeout) {
		t.Errorf("a limit: %v, want timed out", err)
	}
	if err := m.Lock(ctx); !errors.Is(err, fault.Timeout) {
		t.Errorf("a limit that has passed: %v, want timed out", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	got := make(chan error)
	go func() { got <- other.Lock(ctx) }()
	cancel()
	if err := <-got; !errors.Is(err, fault.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	go func() { got <- other.Lock(context.Background()) }()
	for len(waiters(t, m)) == 0 {
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := <-got; !errors.Is(err, fault.Closed) {
		t.Errorf("closed: %v", err)
	}
	for name, err := range map[string]error{"Lock": other.Lock(t.Context()), "Unlock": other.Unlock(), "Reset": other.Reset()} {
		if !errors.Is(err, fault.Closed) {
			t.Errorf("%s after Close: %v, want closed", name, err)
		}
	}
	if err := m.Unlock(); err != nil {
		t.Error(err)
	}
}

func waiters(t *testing.T, m *procsync.Mutex) []procsync.Participant {
	t.Helper()
	var ws []procsync.Participant
	for _, p := range m.Participants() {
		if p.Waiting > 0 {
			ws = append(ws, p)
		}
	}
	return ws
}

// hold locks the mutex of Args[0] and says its token, then waits.
func hold(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	m, err := procsync.AttachMutex(o.mem, o.file, procsync.Config{Label: "holder"})
	if err != nil {
		return err
	}
	if err := m.Lock(context.Background()); err != nil && !errors.Is(err, procsync.ErrOwnerDied) {
		return err
	}
	p.Sayf("held %d", m.Token())
	if len(p.Args) > 1 {
		c := exec.Command("sleep", "600")
		c.ExtraFiles = []*os.File{m.ProofFile()}
		if err := c.Start(); err != nil {
			return err
		}
		p.Say(strconv.Itoa(c.Process.Pid))
	}
	_, err = p.Hear()
	return err
}

// wait locks the mutex of Args[0], says how that went, repairs and unlocks.
func wait(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	m, err := procsync.AttachMutex(o.mem, o.file, procsync.Config{Label: "waiter"})
	if err != nil {
		return err
	}
	p.Say("ready")
	err = m.Lock(context.Background())
	switch {
	case err == nil:
		p.Say("clean")
	case errors.Is(err, procsync.ErrOwnerDied):
		p.Say("died")
		if err := m.MarkConsistent(); err != nil {
			return err
		}
	default:
		return err
	}
	if err := m.Unlock(); err != nil {
		return err
	}
	if late := m.Stats().Late; late != 0 {
		p.Sayf("late %d", late)
	} else {
		p.Say("in time")
	}
	_, err = p.Hear()
	return err
}

// TestHolderDies: whoever waits gets the lock, the first one is told, and
// nobody had to wait for the look that is only for safety.
func TestHolderDies(t *testing.T) {
	for _, n := range []int{0, 1, 50} {
		o := create(t, mutexShape())
		holder := proctest.Start(t, "hold", o.path)
		holder.Hear()
		m := o.mutex(t)
		var all []*proctest.Process
		for range n {
			w := proctest.Start(t, "wait", o.path)
			w.Expect("ready")
			all = append(all, w)
		}
		for len(waiters(t, m)) < n {
			select {
			case <-soon(t).Done():
				t.Fatal("they do not wait")
			case <-time.After(time.Millisecond):
			}
		}
		holder.Kill()
		died := 0
		for _, w := range all {
			if got := w.Hear(); got == "died" {
				died++
			}
			w.Expect("in time")
		}
		if n > 0 && died != 1 {
			t.Errorf("%d waiters: %d were told, want 1", n, died)
		}
		err := m.Lock(soon(t))
		if n == 0 && !errors.Is(err, procsync.ErrOwnerDied) || n > 0 && err != nil {
			t.Errorf("%d waiters: Lock afterwards: %v", n, err)
		}
		for _, w := range all {
			w.Done()
		}
	}
}

func TestNotRecoverable(t *testing.T) {
	o := create(t, mutexShape())
	holder := proctest.Start(t, "hold", o.path)
	holder.Hear()
	holder.Kill()
	m, other := o.mutex(t), o.mutex(t)
	if ok, err := m.TryLock(); !ok || !errors.Is(err, procsync.ErrOwnerDied) || !errors.Is(err, fault.PeerDied) {
		t.Fatalf("TryLock after a death: %v, %v", ok, err)
	}
	got := make(chan error)
	go func() { got <- other.Lock(context.Background()) }()
	if err := m.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, procsync.ErrNotRecoverable) {
		t.Errorf("one that waited: %v, want ErrNotRecoverable", err)
	}
	if err := m.Lock(t.Context()); !errors.Is(err, procsync.ErrNotRecoverable) {
		t.Errorf("one that comes later: %v, want ErrNotRecoverable", err)
	}
	if err := other.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := m.Lock(soon(t)); err != nil {
		t.Errorf("after Reset: %v", err)
	}
	if err := m.Unlock(); err != nil {
		t.Error(err)
	}
}

func killOne(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
