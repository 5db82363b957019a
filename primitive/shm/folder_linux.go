// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
)

// folder is a runtime directory, held open: what becomes of its path does not
// matter any more, and no link in it is followed.
type folder struct {
	path string
	fd   int
}

// enter opens d and makes sure whose it is. Of another user's we may only
// pass through it, so it is opened for that.
func enter(d rundir.Dir) (*folder, error) {
	fd, err := unix.Open(d.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open "+d.Path, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Uid != d.UID {
		err = fmt.Errorf("%w: %s belongs to uid %d, not to uid %d", fault.Denied, d.Path, st.Uid, d.UID)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &folder{path: d.Path, fd: fd}, nil
}

func (d *folder) close() { _ = unix.Close(d.fd) }

// open neither follows a link, nor waits for the writer of a fifo.
func (d *folder) open(base string, flags int) (*os.File, error) {
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	for {
		fd, err := unix.Openat(d.fd, base, flags, 0o600)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: filepath.Join(d.path, base), Err: err}
		}
		return os.NewFile(uintptr(fd), filepath.Join(d.path, base)), nil
	}
}

// is reports whether f is what base stands for.
func (d *folder) is(base string, f *os.File) bool {
	var at, of unix.Stat_t
	if unix.Fstatat(d.fd, base, &at, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var ferr error
	err = raw.Control(func(fd uintptr) { ferr = unix.Fstat(int(fd), &of) })
	return errors.Join(err, ferr) == nil && at.Dev == of.Dev && at.Ino == of.Ino
}

func (d *folder) remove(base string) error {
	if err := unix.Unlinkat(d.fd, base, 0); err != nil {
		return &os.PathError{Op: "remove", Path: filepath.Join(d.path, base), Err: err}
	}
	return nil
}
