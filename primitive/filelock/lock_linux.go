// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

func (l *Lock) control(mode Mode) error {
	kind := int16(unix.F_WRLCK)
	if mode == Shared {
		kind = unix.F_RDLCK
	}
	_, err := l.fcntl(unix.F_OFD_SETLK, kind)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return fault.New(fault.InUse, "lock", l.f.Name(), nil)
	}
	return fault.Wrap("lock", l.f.Name(), err)
}

func (l *Lock) release() error {
	_, err := l.fcntl(unix.F_OFD_SETLK, unix.F_UNLCK)
	return fault.Wrap("unlock", l.f.Name(), err)
}

func (l *Lock) query() (bool, error) {
	found, err := l.fcntl(unix.F_OFD_GETLK, unix.F_WRLCK)
	return found != unix.F_UNLCK, fault.Wrap("test lock", l.f.Name(), err)
}

// fcntl leaves the descriptor as it is: os.File.Fd would make it blocking.
func (l *Lock) fcntl(cmd int, kind int16) (int16, error) {
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
