// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// The locked bytes of a lock file, far behind its content. A holder takes both
// at once, writes who it is, then frees the first: while that is held, the
// content is not yet this holder's.
const (
	writingByte = 1 << 40
	owningByte  = writingByte + 1
)

// File is a held lock file: a name that one process at a time has, with the
// holder's identity in it. The kernel frees it when the holder dies, so that
// there is no stale one; the file itself stays, for the next. Nobody is to
// remove it while it is held: who comes then makes another, and has that.
type File struct {
	file   *os.File
	writes *Lock // both bytes
}

// FileConfig says how to take a lock file. The zero value works.
type FileConfig struct {
	Note string      // what others shall read beside who we are
	Mode fs.FileMode // of a file that is made, less the umask; default 0600. Who may write may take it
}

// AcquireFile takes the lock file at path, made if need be, and waits until it
// can or ctx ends. A symbolic link, or what is no regular file, is
// fault.Invalid.
func AcquireFile(ctx context.Context, path string, c FileConfig) (*File, error) {
	return acquire(path, c, func(l *Lock) error { return l.Lock(ctx, Exclusive) })
}

// TryFile is AcquireFile without waiting. If somebody has the file it is
// fault.InUse, and the error says who.
func TryFile(path string, c FileConfig) (*File, error) {
	f, err := acquire(path, c, func(l *Lock) error { return l.TryLock(Exclusive) })
	if errors.Is(err, fault.InUse) {
		if h, held, herr := HolderOf(path); herr == nil && held && h.PID != 0 {
			return nil, fault.New(fault.InUse, "lock", path, h.asError())
		}
	}
	return f, err
}

// acquire starts anew when somebody has removed or replaced the file before we
// had its lock: one that has no name any more excludes nobody.
func acquire(path string, c FileConfig, lock func(*Lock) error) (*File, error) {
	for {
		f, err := acquireOnce(path, c, lock)
		if err != nil || f.hasName(path) {
			return f, err
		}
		_ = f.file.Close()
	}
}

func (f *File) hasName(path string) bool {
	named, err := os.Lstat(path)
	ours, oerr := f.file.Stat()
	return err == nil && oerr == nil && os.SameFile(named, ours)
}

func acquireOnce(path string, c FileConfig, lock func(*Lock) error) (*File, error) {
	if c.Mode == 0 {
		c.Mode = 0o600
	}
	text, err := ourselves(c.Note)
	if err != nil {
		return nil, fault.New(fault.TooLarge, "lock", path, err)
	}
	file, err := openFile(path, unix.O_RDWR|unix.O_CREAT, uint32(c.Mode.Perm()))
	if err != nil {
		return nil, err
	}
	f := &File{file: file, writes: Region(file, writingByte, 2)}
	err = lock(f.writes)
	if err == nil {
		err = f.write(text)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

func openFile(path string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Open(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, mode)
	if err == unix.ELOOP || err == unix.ENXIO || err == unix.EISDIR {
		return nil, fault.New(fault.Invalid, "lock", path, errors.New("it is no regular file"))
	}
	if err != nil {
		return nil, fault.Wrap("lock", path, os.NewSyscallError("open", err))
	}
	file := os.NewFile(uintptr(fd), path)
	st, err := file.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fault.New(fault.Invalid, "lock", path, errors.New("it is no regular file"))
	}
	if err != nil {
		return nil, errors.Join(fault.Wrap("lock", path, err), file.Close())
	}
	return file, nil
}

// write puts us in and then says that it has.
func (f *File) write(text []byte) error {
	err := f.file.Truncate(0)
	if err == nil {
		_, err = f.file.WriteAt(text, 0)
	}
	if err == nil {
		_, err = Region(f.file, writingByte, 1).fcntl(unix.F_OFD_SETLK, unix.F_UNLCK)
	}
	return fault.Wrap("lock", f.file.Name(), err)
}

// Release gives the file up, and empties it. It is idempotent.
func (f *File) Release() error {
	err := f.file.Truncate(0)
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return errors.Join(err, f.writes.Unlock(), f.file.Close())
}

// HolderOf tells who holds the lock file at path, without taking it. A holder
// that is about to write who it is, and one whose content is not ours to
// understand, is held with a zero Holder. No such file is not held.
func HolderOf(path string) (h Holder, held bool, err error) {
	file, err := openFile(path, unix.O_RDONLY, 0)
	if errors.Is(err, fault.NotFound) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err := io.ReadAll(io.NewSectionReader(file, 0, maxHolder+1))
	if err != nil {
		return Holder{}, false, fault.Wrap("read lock", path, err)
	}
	owned, err := Region(file, owningByte, 1).HeldElsewhere()
	if err != nil || !owned {
		return Holder{}, false, err
	}
	// The content was read before the lock was looked at; if it is the same
	// afterwards, with nobody writing, it is that of a holder in between.
	writing, err := Region(file, writingByte, 1).HeldElsewhere()
	if err != nil || writing {
		return Holder{}, true, err
	}
	again, err := io.ReadAll(io.NewSectionReader(file, 0, maxHolder+1))
	if err != nil || string(again) != string(text) {
		return Holder{}, true, fault.Wrap("read lock", path, err)
	}
	if h, perr := parseHolder(text); perr == nil {
		return h, true, nil
	}
	return Holder{}, true, nil
}
