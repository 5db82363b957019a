// SPDX-License-Identifier: Apache-2.0

package rundir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// symlink returns the component of d.Path that is a symbolic link, or "".
func (d Dir) symlink() string { return firstSymlink(d.Path) }

// stat looks at d.Path and fails if a symbolic link has come into it since.
func (d Dir) stat() (*unix.Stat_t, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, d.Path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old seccomp filter
		fd, err = unix.Open(d.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	return &st, unix.Fstat(fd, &st)
}
