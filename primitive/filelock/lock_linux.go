// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

func (l *Lock) control(mode Mode) error {
	if l.whole {
		return l.flock(mode)
	}
	kind := int16(unix.F_WRLCK)
	if mode == Shared {
		kind = unix.F_RDLCK
	}
	_, err := l.fcntl(unix.F_OFD_SETLK, kind)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return fault.New(fault.InUse, "lock", l.f.Name(), nil)
	}
	return l.failed(err)
}

// failed says what a refusal of the kernel means.
func (l *Lock) failed(err error) error {
	if err == nil {
		return nil
	}
	e := fault.New(fault.KindOf(err), "lock", l.f.Name(), err)
	switch {
	case errors.Is(err, unix.EBADF):
		e.Kind, e.Hint = fault.Invalid, "open the file for writing to lock it Exclusive, for reading to lock it Shared"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOVERFLOW):
		e.Kind, e.Hint = fault.Invalid, "a region begins at 0 or later, and ends before the largest offset; it must be of a file"
	case errors.Is(err, unix.ENOLCK):
		e.Kind, e.Hint = fault.Exhausted, "the kernel has no room for more locks; on NFS: its lock service does not answer"
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		e.Kind, e.Hint = fault.Unsupported, "this file system has no such locks: put the file on another one"
	}
	return e
}

func (l *Lock) release() error {
	if l.whole {
		return fault.Wrap("unlock", l.f.Name(), l.callFlock(unix.LOCK_UN))
	}
	_, err := l.fcntl(unix.F_OFD_SETLK, unix.F_UNLCK)
	return fault.Wrap("unlock", l.f.Name(), err)
}

func (l *Lock) query() (bool, error) {
	if l.whole {
		return false, fault.New(fault.Unsupported, "test lock", l.f.Name(), errors.New("flock cannot be tested without taking it"))
	}
	found, err := l.fcntl(unix.F_OFD_GETLK, unix.F_WRLCK)
	return found != unix.F_UNLCK, fault.Wrap("test lock", l.f.Name(), err)
}

// fcntl leaves the descriptor as it is: os.File.Fd would make it blocking.
func (l *Lock) fcntl(cmd int, kind int16) (int16, error) {
	if l.length < 0 { // to the kernel it is what lies before
		return 0, unix.EINVAL
	}
	raw, err := l.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	fl := unix.Flock_t{Type: kind, Whence: unix.SEEK_SET, Start: l.start, Len: l.length}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = unix.FcntlFlock(fd, cmd, &fl) }); err != nil {
		return 0, os.ErrClosed // the only way that Control fails
	}
	return fl.Type, ferr
}

func (l *Lock) flock(mode Mode) error {
	how := unix.LOCK_EX
	if mode == Shared {
		how = unix.LOCK_SH
	}
	err := l.callFlock(how | unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fault.New(fault.InUse, "lock", l.f.Name(), nil)
	}
	return l.failed(err)
}

func (l *Lock) callFlock(how int) error {
	raw, err := l.f.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = unix.Flock(int(fd), how) }); err != nil {
		return os.ErrClosed // the only way that Control fails
	}
	return ferr
}
