// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

var errNoSocket = errors.New("somebody put another file in the place of the socket")

// setMode sets the mode of the socket that was just bound at path. In a
// directory that others may write to the name may mean another file by now,
// whose mode chmod(2) would change.
func setMode(path string, mode os.FileMode) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errNoSocket
	}
	return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}
