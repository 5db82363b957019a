// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// lives is an open file of one handle, with an open-file-description lock on
// the byte of its slot. The kernel drops it when the last descriptor of this
// description is closed: when the process has ended, and with it whoever
// inherited the descriptor. So a byte that can be locked is the proof that
// nobody holds the slot, in whatever PID namespace.
type lives struct {
	file *os.File
	base int64
	own  bool // close closes it
}

// livesOf opens the file anew: a description that another handle shares, as
// after a dup or a pass, would make the two one owner.
func livesOf(f *os.File, name string) (*lives, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fault.Wrap("attach", name, err)
	}
	var again *os.File
	var oerr error
	if err := raw.Control(func(fd uintptr) {
		again, oerr = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0)
	}); err != nil {
		return nil, fault.Wrap("attach", name, err)
	}
	if oerr != nil {
		return nil, fault.Wrap("attach", name, fmt.Errorf("opening the file of lives anew: %w", oerr))
	}
	return &lives{file: again, own: true}, nil
}

func (l *lives) close() error {
	if !l.own {
		return nil
	}
	return l.file.Close()
}

// take locks the byte of slot i, if nobody else has.
func (l *lives) take(i int) (bool, error) {
	err := l.fcntl(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET, Start: l.base + int64(i), Len: 1})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, fault.Wrap("lock", l.file.Name(), err)
}

func (l *lives) drop(i int) error {
	return fault.Wrap("unlock", l.file.Name(), l.fcntl(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Whence: unix.SEEK_SET, Start: l.base + int64(i), Len: 1}))
}

// held asks whether somebody else has the byte of slot i. What cannot be asked
// counts as held: no death is proven by an error.
func (l *lives) held(i int) bool {
	fl := unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET, Start: l.base + int64(i), Len: 1}
	err := l.fcntl(unix.F_OFD_GETLK, &fl)
	return err != nil || fl.Type != unix.F_UNLCK
}

// fcntl leaves the descriptor as it is: os.File.Fd would make it blocking.
func (l *lives) fcntl(cmd int, fl *unix.Flock_t) error {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = unix.FcntlFlock(fd, cmd, fl) }); err != nil {
		return os.ErrClosed // the only way that Control fails
	}
	return ferr
}

func whoAmI() (pid, uid uint32) { return uint32(os.Getpid()), uint32(os.Getuid()) }
