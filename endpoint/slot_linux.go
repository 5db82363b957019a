// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/filelock"
)

const (
	maxReopens = 1000            // times that the file may be replaced under our hands
	maxChange  = 5 * time.Second // how long somebody else may hold the right to change it
)

// slot is an entry's file with the right to change it: whoever holds it makes
// or removes the entry alone.
type slot struct {
	file   *os.File
	change *filelock.Lock
}

func (s slot) close() error { return errors.Join(s.change.Unlock(), s.file.Close()) }

// openSlot opens p.entry, locks its change byte, and makes sure that it still
// is the file at that path: the one before may have been removed between the
// two. With os.O_CREATE a missing one is made, else it is fault.NotFound.
func (p place) openSlot(ctx context.Context, create int) (slot, error) {
	for range maxReopens {
		f, err := p.openEntry(create)
		if errors.Is(err, fs.ErrExist) { // somebody else was faster
			continue
		}
		if err != nil {
			return slot{}, err
		}
		s := slot{file: f, change: filelock.Region(f, changeByte, 1)}
		if err := p.waitLock(ctx, s.change); err != nil {
			return slot{}, errors.Join(err, f.Close())
		}
		if sameFile(f, p.entry) {
			return s, nil
		}
		if err := s.close(); err != nil {
			return slot{}, p.failed(err)
		}
	}
	return slot{}, fault.New(fault.InUse, "listen", p.addr.String(), fmt.Errorf("others keep replacing %s", p.entry))
}

// openEntry opens first and creates second: in a sticky directory the kernel
// refuses O_CREAT on another's existing file even to root.
func (p place) openEntry(create int) (*os.File, error) {
	const flags = os.O_RDWR | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	f, err := os.OpenFile(p.entry, flags, 0)
	if errors.Is(err, fs.ErrNotExist) && create != 0 {
		f, err = os.OpenFile(p.entry, flags|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if err != nil {
		return nil, p.openError(err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file but %s", p.entry, kindOfFile(st.Mode()))
	}
	if err != nil {
		return nil, errors.Join(p.failed(err), f.Close())
	}
	return f, nil
}

// openError tells apart whose file it is that we may not open.
func (p place) openError(err error) error {
	if errors.Is(err, syscall.ELOOP) {
		return fault.New(fault.Denied, "listen", p.addr.String(), fmt.Errorf("%s is a symbolic link", p.entry)).WithHint("remove it")
	}
	var st syscall.Stat_t
	if errors.Is(err, fs.ErrPermission) && syscall.Lstat(p.entry, &st) == nil && int(st.Uid) != os.Geteuid() {
		return fault.New(fault.Denied, "listen", p.addr.String(), fmt.Errorf("the registry entry %s belongs to uid %d", p.entry, st.Uid)).
			WithHint("choose another path, or have that user or root stop its listener and run `parley gc`")
	}
	return p.failed(err)
}

// waitLock tries until ctx ends. Whoever holds the lock has a few system
// calls to make, so the tries are close together and soon enough over.
func (p place) waitLock(ctx context.Context, l *filelock.Lock) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxChange, fault.New(fault.InUse, "listen", p.addr.String(),
		fmt.Errorf("another process has been making or removing %s for %v", p.entry, maxChange)))
	defer cancel()
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		// Before ctx is asked: whoever has just made the file, which nobody else
		// locks, must not leave it behind.
		err := l.TryLock(filelock.Exclusive)
		if err == nil || fault.KindOf(err) != fault.InUse {
			return p.failed(err)
		}
		if err := context.Cause(ctx); err != nil {
			return fault.Wrap("listen", p.addr.String(), err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// removeEntry removes p.entry if it is f. The caller holds a lock on f.
func (p place) removeEntry(f *os.File) error {
	if !sameFile(f, p.entry) {
		return nil
	}
	return p.remove(p.entry)
}

func sameFile(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
