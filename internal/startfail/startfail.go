// SPDX-License-Identifier: Apache-2.0

package startfail

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"

	"github.com/parley-ipc/parley/fault"
)

// Explain is err, from starting a program in the working directory dir, with
// its kind and what to do about it. privileged says that another user or
// another control group was asked for.
func Explain(op, addr, dir string, privileged bool, err error) *fault.Error {
	e := fault.New(fault.KindOf(err), op, addr, err)
	switch {
	case dir != "" && errors.Is(err, fs.ErrNotExist) && !isDir(dir):
		return e.WithHint("the working directory does not exist: " + dir)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		e.Kind = fault.NotFound
		return e.WithHint("install the program, put its directory into PATH, or write its absolute path")
	case errors.Is(err, exec.ErrDot):
		e.Kind = fault.Denied
		return e.WithHint("a program in the current directory is written with ./")
	case errors.Is(err, fs.ErrPermission) && privileged:
		return e.WithHint("another user's process, or another control group, needs root")
	case errors.Is(err, fs.ErrPermission):
		return e.WithHint("the file is not executable for us: chmod +x it, or write the interpreter before it")
	case noProgram(err):
		e.Kind = fault.Invalid
		return e.WithHint("the file is no program for this machine: a script needs a #! line")
	case e.Kind == fault.Exhausted:
		return e.WithHint("raise `ulimit -n`, or close connections")
	}
	return e
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
