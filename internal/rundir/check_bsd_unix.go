// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package rundir

import (
	"os"
	"syscall"
)

// symlink looks at the last component only: on macOS the temporary directory
// itself is reached through a link.
func (d Dir) symlink() string {
	if st, err := os.Lstat(d.Path); err == nil && st.Mode()&os.ModeSymlink != 0 {
		return d.Path
	}
	return ""
}

func (d Dir) stat() (*syscall.Stat_t, error) {
	st, err := os.Lstat(d.Path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, syscall.ENOTDIR
	}
	return st.Sys().(*syscall.Stat_t), nil
}
