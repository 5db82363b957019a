// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// placeNew renames from to to, which must not exist.
func placeNew(root *os.Root, from, to string) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	raw, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) {
		err = unix.Renameat2(int(fd), from, int(fd), to, unix.RENAME_NOREPLACE)
	})
	if cerr != nil {
		return cerr
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // the file system does not know it
		return linkNew(root, from, to)
	}
	return err
}
