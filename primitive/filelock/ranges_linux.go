// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// Ranges locks byte ranges of one file between goroutines as well as between
// processes: ranges may overlap in any way. Each held range has an open file
// of its own, so that the kernel keeps all of them apart, and needs /proc. All
// methods may run at once.
type Ranges struct {
	f *os.File

	// order is passed through after each taking and before each giving up, so
	// that what one holder wrote is seen by the next in Go's memory model too,
	// which knows nothing of the kernel's locks.
	order sync.Mutex
}

// NewRanges returns the ranges of f, which stays the caller's. How f was
// opened decides what may be locked, as with New.
func NewRanges(f *os.File) *Ranges { return &Ranges{f: f} }

func (r *Ranges) pass() {
	r.order.Lock()
	defer r.order.Unlock()
}

// Range is a held range.
type Range struct {
	of   *Ranges
	file *os.File
	lock *Lock
}

// Lock takes length bytes from start on, to the end of all files if length is
// 0, and waits until it can or ctx ends: see (*Lock).Lock.
func (r *Ranges) Lock(ctx context.Context, start, length int64, mode Mode) (*Range, error) {
	return r.take(start, length, func(l *Lock) error { return l.Lock(ctx, mode) })
}

// TryLock is Lock without waiting; a range of which somebody has a part is
// fault.InUse.
func (r *Ranges) TryLock(start, length int64, mode Mode) (*Range, error) {
	return r.take(start, length, func(l *Lock) error { return l.TryLock(mode) })
}

func (r *Ranges) take(start, length int64, lock func(*Lock) error) (*Range, error) {
	if start < 0 || length < 0 {
		return nil, fault.New(fault.Invalid, "lock", r.f.Name(), errors.New("a range begins at 0 or later and has no negative length"))
	}
	file, err := reopen(r.f)
	if err != nil {
		return nil, err
	}
	l := Region(file, start, length)
	if err := lock(l); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r.pass()
	return &Range{of: r, file: file, lock: l}, nil
}

// Unlock gives the range up. It is idempotent.
func (r *Range) Unlock() error {
	r.of.pass()
	err := r.lock.Unlock()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	cerr := r.file.Close()
	if errors.Is(cerr, os.ErrClosed) {
		cerr = nil
	}
	return errors.Join(err, cerr)
}

// reopen makes another open file of f's, with f's access.
func reopen(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fault.Wrap("lock", f.Name(), err)
	}
	fd := -1
	var oerr error
	err = raw.Control(func(old uintptr) {
		var flags int
		if flags, oerr = unix.FcntlInt(old, unix.F_GETFL, 0); oerr == nil {
			fd, oerr = unix.Open(fmt.Sprintf("/proc/self/fd/%d", old), flags&unix.O_ACCMODE|unix.O_CLOEXEC, 0)
		}
	})
	if err != nil {
		return nil, fault.Wrap("lock", f.Name(), os.ErrClosed) // the only way that Control fails
	}
	if oerr != nil {
		return nil, fault.Wrap("lock", f.Name(), os.NewSyscallError("open", oerr))
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
