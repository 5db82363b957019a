// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

const perCounter = 200 // increments each

// count PATH flock|ofd adds to the number in PATH, under the lock, each time
// by reading, then writing it.
func count(p *proctest.Self) error {
	f, err := os.OpenFile(p.Args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	l := New(f)
	if p.Args[1] == "flock" {
		l = Flock(f)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	for range cap(errs) {
		wg.Go(func() {
			for range perCounter / cap(errs) {
				if err := increment(f, l); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		})
	}
	wg.Wait()
	return errors.Join(<-errs, <-errs)
}

func increment(f *os.File, l *Lock) error {
	if err := l.Lock(context.Background(), Exclusive); err != nil {
		return err
	}
	buf := make([]byte, 16)
	n, _ := f.ReadAt(buf, 0)
	i, err := strconv.Atoi(string(buf[:n]))
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(fmt.Sprintf("%0*d", n, i+1)), 0); err != nil {
		return err
	}
	return l.Unlock()
}

// TestNoUpdateIsLost between processes, and goroutines of each.
func TestNoUpdateIsLost(t *testing.T) {
	for _, kind := range []string{"ofd", "flock"} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("0000000"), 0o600); err != nil {
			t.Fatal(err)
		}
		const processes = 3
		var ps []*proctest.Process
		for range processes {
			ps = append(ps, proctest.Start(t, "count", path, kind))
		}
		for _, p := range ps {
			if err := p.Wait(); err != nil {
				t.Error(err)
			}
		}
		if got, _ := os.ReadFile(path); string(got) != fmt.Sprintf("%07d", processes*perCounter) {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

// TestWaiterIsServedWhenTheHolderIsKilled, and only then.
func TestWaiterIsServedWhenTheHolderIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	l := New(open(t, path))
	p := proctest.Start(t, "hold", path)
	p.Expect("held")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := l.Lock(ctx, Shared); !errors.Is(err, fault.Timeout) {
		t.Fatalf("a lock that is held: %v", err)
	}
	got := make(chan error, 1)
	go func() { got <- l.Lock(context.Background(), Exclusive) }()
	p.Kill()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

// TestWaitersOfOneLock: each goroutine has a context of its own.
func TestWaitersOfOneLock(t *testing.T) {
	l := New(open(t, filepath.Join(t.TempDir(), "f")))
	try(t, l, Exclusive, true)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- l.Lock(context.Background(), Exclusive) }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { second <- l.Lock(ctx, Exclusive) }()
	cancel()
	if err := <-second; !errors.Is(err, fault.Canceled) {
		t.Error(err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestFlockIsFlocks: what flock(1) takes is what Flock waits for.
func TestFlockIsFlocks(t *testing.T) {
	flock, err := exec.LookPath("flock")
	if err != nil {
		t.Skip("no flock(1) here")
	}
	path := filepath.Join(t.TempDir(), "f")
	f := open(t, path)
	l := Flock(f)
	run := func() error {
		return exec.CommandContext(t.Context(), flock, "--nonblock", "--conflict-exit-code", "9", path, "true").Run()
	}
	var exit *exec.ExitError
	try(t, l, Exclusive, true)
	if err := run(); !errors.As(err, &exit) || exit.ExitCode() != 9 {
		t.Errorf("flock(1) got it: %v", err)
	}
	try(t, New(open(t, path)), Exclusive, true) // another lock
	if _, err := l.HeldElsewhere(); !errors.Is(err, fault.Unsupported) {
		t.Error(err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := run(); err != nil {
		t.Errorf("flock(1): %v", err)
	}
	try(t, l, Shared, true)
	try(t, Flock(open(t, path)), Shared, true)
	try(t, Flock(open(t, path)), Exclusive, false)
}

// TestRangesBetweenGoroutines: of one open file, overlapping in every way.
func TestRangesBetweenGoroutines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	r := NewRanges(open(t, path))
	take := func(start, length int64, mode Mode, want bool) *Range {
		t.Helper()
		h, err := r.TryLock(start, length, mode)
		if want != (err == nil) || !want && !errors.Is(err, fault.InUse) {
			t.Fatalf("[%d, +%d): %v, want taken: %v", start, length, err, want)
		}
		return h
	}
	a := take(0, 10, Shared, true)
	b := take(5, 10, Shared, true)
	take(9, 1, Exclusive, false)
	c := take(15, 5, Exclusive, true)
	take(0, 0, Exclusive, false)
	if err := errors.Join(a.Unlock(), a.Unlock()); err != nil {
		t.Fatal(err)
	}
	take(5, 1, Exclusive, false) // the other's share of the overlap is still held
	d := take(0, 5, Exclusive, true)
	if err := errors.Join(b.Unlock(), c.Unlock(), d.Unlock()); err != nil {
		t.Fatal(err)
	}
	all := take(0, 0, Exclusive, true)
	got := make(chan error, 1)
	go func() {
		h, err := r.Lock(context.Background(), 7, 1, Exclusive)
		if err == nil {
			err = h.Unlock()
		}
		got <- err
	}()
	if err := errors.Join(all.Unlock(), <-got); err != nil {
		t.Fatal(err)
	}
	if _, err := r.TryLock(-1, 1, Shared); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestRangeCounters: goroutines add to a number each under the lock of its
// bytes.
func TestRangeCounters(t *testing.T) {
	r := NewRanges(open(t, filepath.Join(t.TempDir(), "f")))
	var numbers [2]int
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				h, err := r.Lock(t.Context(), int64(i%2), 1, Exclusive)
				if err != nil {
					t.Error(err)
					return
				}
				numbers[i%2]++
				if err := h.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if numbers != [2]int{80, 80} {
		t.Error(numbers)
	}
}
