// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux && !solaris && !aix

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// flock belongs to the open file like an OFD lock, but knows no regions.
func (l *Lock) control(mode Mode) error {
	if l.start != 0 || l.length != 0 {
		return fault.New(fault.Unsupported, "lock", l.f.Name(), errors.New("only Linux locks a region of a file this way"))
	}
	how := unix.LOCK_EX
	if mode == Shared {
		how = unix.LOCK_SH
	}
	err := l.flock(how | unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fault.New(fault.InUse, "lock", l.f.Name(), nil)
	}
	return fault.Wrap("lock", l.f.Name(), err)
}

func (l *Lock) release() error {
	return fault.Wrap("unlock", l.f.Name(), l.flock(unix.LOCK_UN))
}

func (l *Lock) query() (bool, error) {
	return false, fault.New(fault.Unsupported, "test lock", l.f.Name(), errors.New("flock cannot be tested without taking it"))
}

func (l *Lock) flock(how int) error {
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
