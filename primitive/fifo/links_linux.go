// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"io/fs"
	"syscall"
)

func links(st fs.FileInfo) uint64 {
	return uint64(st.Sys().(*syscall.Stat_t).Nlink) //nolint:unconvert // its type differs by architecture
}
