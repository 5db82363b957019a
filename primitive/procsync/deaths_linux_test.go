// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// keep takes what Args[1] says of the object of Args[0], and keeps it.
func keep(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	switch c := (procsync.Config{}); p.Args[1] {
	case "permits":
		var s *procsync.Semaphore
		if s, err = procsync.AttachSemaphore(o.mem, o.file, c); err == nil {
			_, err = s.Acquire(bg, 2)
		}
	case "read", "write":
		var m *procsync.RWMutex
		if m, err = procsync.AttachRWMutex(o.mem, o.file, c); err == nil {
			if p.Args[1] == "read" {
				_, err = m.RLock(bg)
			} else {
				_, err = m.Lock(bg)
			}
		}
	}
	if err != nil {
		return err
	}
	p.Say("kept")
	_, err = p.Hear()
	return err
}

func TestDeadGiveBackPermits(t *testing.T) {
	o := create(t, procsync.Shape{Kind: procsync.KindSemaphore, Count: 2})
	dead := proctest.Start(t, "keep", o.path, "permits")
	dead.Expect("kept")
	s, err := procsync.AttachSemaphore(o.mem, o.file, procsync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok, err := s.TryAcquire(1); ok || err != nil {
		t.Errorf("TryAcquire while all are held: %v, %v", ok, err)
	}
	got := acquireInBackground(t, s)
	dead.Kill()
	if err := <-got; err != nil {
		t.Error(err)
	}
	if s.Available() != 1 || s.Held() != 1 {
		t.Errorf("%d available and %d held, want 1 and 1", s.Available(), s.Held())
	}
	if err := s.Release(2); !errors.Is(err, procsync.ErrNotHeld) {
		t.Errorf("to release more than is held: %v", err)
	}
	if late := s.Stats().Late; late != 0 {
		t.Errorf("%d sleeps ended by the look that is only for safety", late)
	}
}

func acquireInBackground(t *testing.T, s *procsync.Semaphore) <-chan error {
	t.Helper()
	got := make(chan error, 1)
	go func() { _, err := s.Acquire(soon(t), 1); got <- err }()
	until(t, func() bool { return anyWaits(s.Participants()) })
	return got
}

func anyWaits(ps []procsync.Participant) bool {
	for _, p := range ps {
		if p.Waiting > 0 {
			return true
		}
	}
	return false
}

func until(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx := soon(t); !cond(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it did not come to that")
		}
	}
}

func TestDeadReaderAndWriter(t *testing.T) {
	o := create(t, procsync.Shape{Kind: procsync.KindRWMutex})
	m, err := procsync.AttachRWMutex(o.mem, o.file, procsync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	reader := proctest.Start(t, "keep", o.path, "read")
	reader.Expect("kept")
	if _, ok, err := m.TryLock(); ok || err != nil {
		t.Fatalf("TryLock beside a reader: %v, %v", ok, err)
	}
	reader.Kill()
	if _, err := m.Lock(soon(t)); err != nil {
		t.Fatalf("after a reader's death: %v", err)
	}
	if err := m.Unlock(); err != nil {
		t.Fatal(err)
	}
	writer := proctest.Start(t, "keep", o.path, "write")
	writer.Expect("kept")
	got := make(chan error, 1)
	go func() { _, err := m.RLock(soon(t)); got <- err }()
	until(t, func() bool { return anyWaits(m.Participants()) })
	writer.Kill()
	if err := <-got; !errors.Is(err, procsync.ErrOwnerDied) {
		t.Fatalf("a reader after a writer's death: %v, want ErrOwnerDied", err)
	}
	if err := m.MarkConsistent(); !errors.Is(err, procsync.ErrNotHeld) {
		t.Errorf("a reader repaired: %v", err)
	}
	if err := m.RUnlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Lock(soon(t)); !errors.Is(err, procsync.ErrOwnerDied) {
		t.Fatalf("the next writer: %v, want ErrOwnerDied", err)
	}
	if err := m.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.RLock(soon(t)); !errors.Is(err, procsync.ErrNotRecoverable) {
		t.Errorf("unrepaired: %v, want ErrNotRecoverable", err)
	}
	if err := m.Reset(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Lock(soon(t)); err != nil {
		t.Errorf("after Reset: %v", err)
	}
}

// party waits at the barrier of Args[0] again and again.
func party(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	b, err := procsync.AttachBarrier(o.mem, o.file, procsync.Config{})
	if err != nil {
		return err
	}
	for {
		p.Say("comes")
		if _, err := b.Wait(bg); err != nil {
			return err
		}
		p.Say("passed")
		if _, err := p.Hear(); err != nil {
			return nil
		}
	}
}

func TestDeadHaveNotArrived(t *testing.T) {
	o := create(t, procsync.Shape{Kind: procsync.KindBarrier, Count: 3})
	b, err := procsync.AttachBarrier(o.mem, o.file, procsync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	start := func() *proctest.Process {
		p := proctest.Start(t, "party", o.path)
		p.Expect("comes")
		return p
	}
	dead, one := start(), start()
	until(t, func() bool { return b.Arrived() == 2 })
	dead.Kill()
	until(t, func() bool { return b.Arrived() == 1 }) // the other one has buried it
	ctx, cancel := context.WithTimeout(bg, time.Millisecond)
	defer cancel()
	if last, err := b.Wait(ctx); last || err == nil {
		t.Errorf("Wait for a third: %v, %v", last, err)
	}
	if b.Arrived() != 1 {
		t.Errorf("%d have arrived after one gave up, want 1", b.Arrived())
	}
	two := start()
	until(t, func() bool { return b.Arrived() == 2 })
	if last, err := b.Wait(soon(t)); !last || err != nil {
		t.Errorf("the third: %v, %v", last, err)
	}
	one.Expect("passed")
	two.Expect("passed")
}

// In a buffer's extra bytes.
const (
	atPut   = 0
	atTaken = 8
	depth   = 4
)

// buffer puts into, or takes from, a bounded buffer that is two conditions and
// a mutex, until so many have gone through it.
func buffer(p *proctest.Self) error {
	var m *procsync.Mutex
	var conds [2]*procsync.Cond // not full, not empty
	var extra []byte
	for i, path := range p.Args[:3] {
		o, err := openObject(path)
		if err != nil {
			return err
		}
		if i == 0 {
			extra = o.extra
			m, err = procsync.AttachMutex(o.mem, o.file, procsync.Config{})
		} else {
			conds[i-1], err = procsync.AttachCond(o.mem, o.file, procsync.Config{})
		}
		if err != nil {
			return err
		}
	}
	puts, all := p.Args[3] == "put", uint64(number(p.Args[4]))
	mine, wait, other := atTaken, conds[1], conds[0]
	if puts {
		mine, wait, other = atPut, conds[0], conds[1]
	}
	held := func(err error) error {
		if errors.Is(err, procsync.ErrOwnerDied) {
			return m.MarkConsistent() // each word changes as a whole: nothing to repair
		}
		return err
	}
	p.Say("go")
	for {
		if err := held(m.Lock(bg)); err != nil {
			return err
		}
		for get(extra, mine) < all && blocked(extra, puts) {
			if err := held(wait.Wait(bg, m)); err != nil {
				return err
			}
		}
		done := get(extra, mine) >= all
		if !done {
			put(extra, mine, get(extra, mine)+1)
		}
		err := other.Signal()
		if done {
			err = errors.Join(err, wait.Broadcast(), other.Broadcast())
		}
		if err := errors.Join(err, m.Unlock()); err != nil {
			return err
		}
		if done {
			p.Say("done")
			_, _ = p.Hear()
			return nil
		}
	}
}

func blocked(extra []byte, puts bool) bool {
	full := get(extra, atPut) - get(extra, atTaken)
	return puts && full == depth || !puts && full == 0
}

// TestKillCond: a buffer goes on although those that fill and empty it are
// killed and stopped, and be it when they had just been signalled.
func TestKillCond(t *testing.T) {
	rng, kills := seedAndKills(t, 10)
	all := fmt.Sprint(2000 * kills)
	m, notFull, notEmpty := create(t, mutexShape()), create(t, procsync.Shape{Kind: procsync.KindCond}), create(t, procsync.Shape{Kind: procsync.KindCond})
	ps := make([]*proctest.Process, 4)
	start := func(i int) {
		ps[i] = proctest.Start(t, "buffer", m.path, notFull.path, notEmpty.path, []string{"put", "take"}[i%2], all)
		ps[i].Expect("go")
	}
	for i := range ps {
		start(i)
	}
	for range kills {
		<-time.After(time.Duration(rng.IntN(3000)) * time.Microsecond)
		i, j := rng.IntN(len(ps)), rng.IntN(len(ps))
		ps[j].Signal(syscall.SIGSTOP)
		ps[i].Kill()
		ps[j].Signal(syscall.SIGCONT)
		start(i)
	}
	for _, p := range ps {
		p.Expect("done")
	}
	if got := get(m.extra, atTaken); fmt.Sprint(got) != all || get(m.extra, atPut) != got {
		t.Errorf("%d were put and %d taken, want %s", get(m.extra, atPut), got, all)
	}
}

// TestOtherNamespaces: a death is proven across PID namespaces, where the
// holder's pid is another's here.
func TestOtherNamespaces(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to make namespaces")
	}
	o := create(t, mutexShape())
	holder := proctest.StartWith(t, proctest.Options{
		Role: "hold", Args: []string{o.path},
		Prefix: []string{"unshare", "--pid", "--mount", "--fork", "--mount-proc"},
	})
	holder.Hear()
	m := o.mutex(t)
	h, held := m.Holder()
	if !held || h.PID != 1 || !h.Alive || h.Label != "holder" {
		t.Errorf("the holder is %+v, %v; want pid 1, alive", h, held)
	}
	got := make(chan error, 1)
	go func() { got <- m.Lock(soon(t)) }()
	until(t, func() bool { return len(waiters(t, m)) == 1 })
	holder.Kill()
	if err := <-got; !errors.Is(err, procsync.ErrOwnerDied) {
		t.Errorf("Lock: %v, want ErrOwnerDied", err)
	}
	if late := m.Stats().Late; late != 0 {
		t.Errorf("%d sleeps ended by the look that is only for safety", late)
	}
}

// TestInheritedProof: what a child inherits holds on when the handle's own
// process has died.
func TestInheritedProof(t *testing.T) {
	o := create(t, mutexShape())
	holder := proctest.Start(t, "hold", o.path, "with a child")
	holder.Hear()
	child := holder.Hear()
	m := o.mutex(t)
	if err := killOne(holder.Pid()); err != nil {
		t.Fatal(err)
	}
	if err := holder.Wait(); err == nil {
		t.Fatal("the holder was not killed")
	}
	for range 20 {
		if ok, err := m.TryLock(); ok || err != nil {
			t.Fatalf("TryLock while the child lives: %v, %v", ok, err)
		}
	}
	if err := killOne(number(child)); err != nil {
		t.Fatal(err)
	}
	if err := m.Lock(soon(t)); !errors.Is(err, procsync.ErrOwnerDied) {
		t.Errorf("after the child's death: %v, want ErrOwnerDied", err)
	}
}
