// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// Start starts cmd, and its program does not inherit what BlockSignals has
// blocked here. If before is given it is called, with the program's pid, when
// that has been loaded and has not run an instruction yet; its error ends the
// program and is Start's.
//
// Where there is something to do, the program is held for it as a debugger
// holds it. So where ptrace(2) is forbidden it cannot be started, and a set-uid
// program gains nothing by that unless we have CAP_SYS_PTRACE.
func Start(cmd *exec.Cmd, before func(pid int) error) error {
	if before == nil && blockedByUs() == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread() // only the thread that is its debugger can let it go
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	err := awaitHeld(pid)
	if err == nil {
		err = prepare(pid, before)
	}
	if err != nil {
		_ = cmd.Process.Kill() // nobody has reaped it: the number is its own
		return errors.Join(err, reaped(cmd.Wait()))
	}
	return nil
}

// prepare does what is to be done to a program that is held, and lets it go.
func prepare(pid int, before func(pid int) error) error {
	if before != nil {
		if err := before(pid); err != nil {
			return err
		}
	}
	if ours := blockedByUs(); ours != 0 {
		if err := unblock(pid, ours); err != nil {
			return os.NewSyscallError("ptrace", err)
		}
	}
	return os.NewSyscallError("ptrace", unix.PtraceDetach(pid))
}

// awaitHeld waits until the program has been loaded, and reaps nobody.
func awaitHeld(pid int) error {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("waitid", err)
		case !held(&info):
			return fmt.Errorf("%w: the program ended before it began", fault.PeerDied)
		}
		return nil
	}
}

// reaped drops how the program ended, which our own SIGKILL decided.
func reaped(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}
