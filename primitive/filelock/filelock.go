// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"os"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

// Mode says with whom a lock may be held together.
type Mode uint8

// The modes.
const (
	Exclusive Mode = iota // with nobody
	Shared                // with other shared locks
)

// Lock is a lock on a file or on a region of it, held or not. All its methods
// may run at once. Two Locks on one *os.File exclude each other only where
// their regions are disjoint by design: the kernel counts them as one owner,
// so make one Lock for each region of each *os.File.
type Lock struct {
	f             *os.File
	start, length int64         // a length of 0 reaches to the end, wherever that is
	whole         bool          // flock's, not fcntl's
	turn          chan struct{} // full while a Lock waits

	mu   sync.Mutex // held while talking to the kernel, never while waiting
	held bool       // guarded by mu
}

// New returns the lock on all of f, not yet held. f stays the caller's and
// must outlive the lock; it must be open for writing to be locked Exclusive,
// for reading to be locked Shared.
func New(f *os.File) *Lock { return Region(f, 0, 0) }

// Flock returns the lock of flock(2) on f, not yet held: the one that flock(1)
// and many programs take. On Linux it and New's do not see each other; f may
// be open for reading only.
func Flock(f *os.File) *Lock {
	l := New(f)
	l.whole = true
	return l
}

// Region returns the lock on length bytes of f from start on, which need not
// exist. Only Linux locks regions; elsewhere TryLock answers
// fault.Unsupported.
func Region(f *os.File, start, length int64) *Lock {
	return &Lock{f: f, start: start, length: length, turn: make(chan struct{}, 1)}
}

// TryLock takes the lock or fails at once: with fault.InUse if somebody holds
// it in a way that excludes mode, be it another process, another open file of
// this one, or the Lock itself.
func (l *Lock) TryLock(mode Mode) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		return fault.New(fault.InUse, "lock", l.f.Name(), nil)
	}
	if err := l.control(mode); err != nil {
		return err
	}
	l.held = true
	return nil
}

// Unlock gives the lock up. It is idempotent. Closing the file does the same,
// but only once no forked child and no mapping of the file is left.
func (l *Lock) Unlock() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		return nil
	}
	l.held = false
	return l.release()
}

// HeldElsewhere reports, without taking it, whether another open file holds a
// lock of any mode on the region. The answer may be old when it arrives. f may
// be open for reading only. Of a Flock nobody can tell: fault.Unsupported.
func (l *Lock) HeldElsewhere() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.query()
}
