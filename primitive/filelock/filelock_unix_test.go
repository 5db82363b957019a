// SPDX-License-Identifier: Apache-2.0

//go:build unix

package filelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.Main(m, roles())
}

// hold PATH holds the file until it is killed.
func hold(p *proctest.Self) error {
	f, err := os.OpenFile(p.Args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := New(f).TryLock(Exclusive); err != nil {
		return err
	}
	p.Say("held")
	_, _ = p.Hear()
	return f.Close()
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func try(t testing.TB, l *Lock, mode Mode, want bool) {
	t.Helper()
	err := l.TryLock(mode)
	if want && err != nil || !want && !errors.Is(err, fault.InUse) {
		t.Fatalf("TryLock(%d): %v, want taken: %v", mode, err, want)
	}
}

func TestModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a, b, c := New(open(t, path)), New(open(t, path)), New(open(t, path))
	try(t, a, Shared, true)
	try(t, b, Shared, true)
	try(t, c, Exclusive, false)
	try(t, a, Shared, false) // held by itself
	if err := errors.Join(a.Unlock(), a.Unlock(), b.Unlock()); err != nil {
		t.Fatal(err)
	}
	try(t, c, Exclusive, true)
	try(t, a, Shared, false)
}

// TestOneLockExcludesGoroutines: the kernel counts goroutines with one open
// file as one owner, so the Lock itself has to keep them apart.
func TestOneLockExcludesGoroutines(t *testing.T) {
	l := New(open(t, filepath.Join(t.TempDir(), "f")))
	var wg sync.WaitGroup
	var won atomic.Int32
	for range 8 {
		wg.Go(func() {
			if l.TryLock(Exclusive) == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d hold it, want 1", won.Load())
	}
}

func TestDeathUnlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	l := New(open(t, path))
	for range 5 {
		p := proctest.Start(t, "hold", path)
		p.Expect("held")
		try(t, l, Exclusive, false)
		p.Kill()
		try(t, l, Exclusive, true)
		if err := l.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClosedFile(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "f"))
	l := New(f)
	_ = f.Close()
	if err := l.TryLock(Exclusive); !errors.Is(err, fault.Closed) {
		t.Errorf("%v", err)
	}
}

func ExampleLock() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("filelock-example-%d", os.Getpid()))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _, _ = f.Close(), os.Remove(path) }()

	l := New(f)
	fmt.Println("first:", l.TryLock(Exclusive) == nil)
	fmt.Println("again, in use:", errors.Is(l.TryLock(Exclusive), fault.InUse))
	fmt.Println("unlock:", l.Unlock() == nil)
	// Output:
	// first: true
	// again, in use: true
	// unlock: true
}
