// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"strconv"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// greedy locks and unlocks the mutex of Args[0], as often as it can until it is
// told to end, and says the most that any lock of its own was passed by.
func greedy(p *proctest.Self) error {
	o, err := openObject(p.Args[0])
	if err != nil {
		return err
	}
	m, err := procsync.AttachMutex(o.mem, o.file, procsync.Config{NoSpin: p.Args[1] == "1"})
	if err != nil {
		return err
	}
	most, queued := uint64(0), 0
	m.OnPassed(func(passed uint64) { most, queued = max(most, passed), queued+1 })
	p.Say("go")
	end := make(chan struct{})
	go func() { _, _ = p.Hear(); close(end) }()
	for {
		select {
		case <-end:
			p.Say(strconv.Itoa(int(most)))
			p.Say(strconv.Itoa(queued))
			return nil
		default:
		}
		for range 100 {
			if err := m.Lock(bg); err != nil {
				return err
			}
			if err := m.Unlock(); err != nil {
				return err
			}
		}
	}
}

// TestPassed: nobody who is in the queue is passed by more later ones than
// MaxPassed says. Passed are all acquisitions since the queue had it, so those
// that waited longer count too: there are at most as many as processes.
func TestPassed(t *testing.T) {
	for _, noSpin := range []string{"0", "1"} {
		const procs = 4
		o := create(t, mutexShape())
		var all []*proctest.Process
		for range procs {
			p := proctest.Start(t, "greedy", o.path, noSpin)
			p.Expect("go")
			all = append(all, p)
		}
		m := o.mutex(t)
		for range 300 { // we too wait in the queue
			if err := m.Lock(soon(t)); err != nil {
				t.Fatal(err)
			}
			if err := m.Unlock(); err != nil {
				t.Fatal(err)
			}
		}
		queued := 0
		for _, p := range all {
			p.Say("end")
			most := number(p.Hear())
			queued += number(p.Hear())
			if most > procsync.MaxPassed+procs+1 {
				t.Errorf("NoSpin %s: passed by %d, at most %d later ones and %d that waited longer may", noSpin, most, procsync.MaxPassed, procs)
			}
		}
		t.Logf("NoSpin %s: %d waited in the queue", noSpin, queued)
		if noSpin == "1" && queued == 0 {
			t.Error("nobody ever waited")
		}
	}
}

// TestWritersAndLargeClaimsAreNotStarved: who asks for what does not fit is
// passed by what fits, but only so often.
func TestWritersAndLargeClaimsAreNotStarved(t *testing.T) {
	passed := func(kind string, try func() (uint64, bool, error), release func() error) {
		t.Helper()
		n := 0
		for ; n <= procsync.MaxPassed; n++ {
			_, ok, err := try()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if err := release(); err != nil {
				t.Fatal(err)
			}
		}
		if n == 0 || n > procsync.MaxPassed {
			t.Errorf("%s: passed %d times, want at least once and at most %d", kind, n, procsync.MaxPassed)
		}
	}
	t.Run("semaphore", func(t *testing.T) {
		o := create(t, procsync.Shape{Kind: procsync.KindSemaphore, Count: 2})
		var s [3]*procsync.Semaphore
		for i := range s {
			h, err := procsync.AttachSemaphore(o.mem, o.file, procsync.Config{NoSpin: true})
			fatal(t, err)
			defer h.Close()
			s[i] = h
		}
		_, err := s[0].Acquire(soon(t), 1)
		fatal(t, err)
		got := make(chan error, 1)
		go func() { _, err := s[1].Acquire(soon(t), 2); got <- err }()
		until(t, func() bool { return anyWaits(s[0].Participants()) })
		passed("semaphore", func() (uint64, bool, error) { return s[2].TryAcquire(1) }, func() error { return s[2].Release(1) })
		fatal(t, s[0].Release(1))
		fatal(t, <-got)
	})
	t.Run("rwmutex", func(t *testing.T) {
		o := create(t, procsync.Shape{Kind: procsync.KindRWMutex})
		var m [3]*procsync.RWMutex
		for i := range m {
			h, err := procsync.AttachRWMutex(o.mem, o.file, procsync.Config{NoSpin: true})
			fatal(t, err)
			defer h.Close()
			m[i] = h
		}
		_, err := m[0].RLock(soon(t))
		fatal(t, err)
		got := make(chan error, 1)
		go func() { _, err := m[1].Lock(soon(t)); got <- err }()
		until(t, func() bool { return anyWaits(m[0].Participants()) })
		passed("rwmutex", m[2].TryRLock, m[2].RUnlock)
		fatal(t, m[0].RUnlock())
		fatal(t, <-got)
	})
}
