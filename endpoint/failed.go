// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/parley-ipc/parley/fault"
)

// failed says what to do about an error of the file system.
func (p place) failed(err error) error {
	if err == nil {
		return nil
	}
	dir := filepath.Dir(p.entry)
	e := fault.New(fault.KindOf(err), "listen", p.addr.String(), err)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Kind = fault.Exhausted
		e.Hint = "free space on the file system of " + dir
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Hint = "the descriptor table is full: raise `ulimit -n` or close connections"
	case errors.Is(err, syscall.EROFS):
		e.Hint = dir + " is on a read-only file system: choose another path, or set PARLEY_RUNTIME_DIR to a directory of your own"
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "we may not write to " + dir + ": choose another path, or set PARLEY_RUNTIME_DIR to a directory of your own"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		e.Hint = "make the directory " + dir + " first"
	}
	return e
}
