// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// removeFile removes the file below memoryRoot that was looked at, and no
// other. Anybody may have made its directory, and put a link in its place
// since: so the directory is reached by none, and held.
func removeFile(path string, key inode) error {
	dir, err := openDir(filepath.Dir(path))
	if err != nil {
		return fault.Wrap("remove", path, err)
	}
	defer func() { _ = unix.Close(dir) }()
	var st unix.Stat_t
	name := filepath.Base(path)
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fault.Wrap("remove", path, os.NewSyscallError("fstatat", err))
	}
	if now := (inode{uint64(st.Dev), st.Ino}); now != key { //nolint:unconvert // its type differs by architecture
		return fault.New(fault.InUse, "remove", path, errors.New("it was made anew"))
	}
	return fault.Wrap("remove", path, os.NewSyscallError("unlinkat", unix.Unlinkat(dir, name, 0)))
}

func openDir(path string) (int, error) {
	root, err := unix.Open(memoryRoot, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("open", err)
	}
	defer func() { _ = unix.Close(root) }()
	below := "." + strings.TrimPrefix(path, memoryRoot)
	dir, err := unix.Openat2(root, below, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	return dir, os.NewSyscallError("openat2", err)
}
