// SPDX-License-Identifier: Apache-2.0

//go:build unix

package file

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/parley-ipc/parley/fault"
)

// openFlags keep a FIFO in the file's place from blocking us.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// checkWriters refuses a file that somebody other than root and us owns or
// may write: whoever writes the rules decides who gets in.
func checkWriters(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fault.New(fault.Unsupported, "policy", path, fmt.Errorf("this file system does not tell the owner"))
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fault.New(fault.Invalid, "policy", path, fmt.Errorf("it belongs to uid %d, who could let anybody in", st.Uid)).
			WithHint(fmt.Sprintf("it must belong to root or to uid %d: chown it", os.Geteuid()))
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fault.New(fault.Invalid, "policy", path, fmt.Errorf("its mode is %#o: others than its owner may write it", mode)).
			WithHint("chmod go-w " + path)
	}
	return nil
}
