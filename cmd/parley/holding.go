// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/parley-ipc/parley/internal/startfail"
)

// exitNoTurn is what flock(1) ends with when somebody else has the lock.
const exitNoTurn = 75

// runHolding runs a command that holds what proof proves, as long as it or
// anything that it started lives.
func (a *app) runHolding(ctx context.Context, args, env []string, proof *os.File) error {
	// The child dies with the thread that starts it. This one never ends
	// before the process.
	runtime.LockOSThread()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	cmd.Env = append(os.Environ(), env...)
	cmd.ExtraFiles = []*os.File{proof}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	diesWithUs(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return codeError(exit.ExitCode())
	case errors.As(err, &exit):
		return codeError(128 + signalOf(exit.ProcessState))
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return a.ownFailure(startfail.Explain("run", args[0], "", false, err), exitNotFound)
	case errors.Is(err, fs.ErrPermission):
		return a.ownFailure(startfail.Explain("run", args[0], "", false, err), exitNotExecutable)
	}
	return err
}

// label tells people what holds a lock.
func label(args []string) string {
	return strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " ")
}
