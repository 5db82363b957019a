// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"bytes"
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/primitive/process"
)

// child is the process and its end. The states:
//
//	running ──ended──▶ zombie ──output ended, Grace or Close──▶ group killed, reaped
//	   └──Close──▶ told ──ended, or Grace──▶ group killed, reaped
//
// Until it is reaped nobody else can have its number, nor its group's: so the
// group is always killed first, and safely by number.
type child struct {
	cmd    *osexec.Cmd
	proc   *process.Process
	grace  time.Duration
	output []*os.File      // stdout and stderr, our ends; the stream's to read and close
	told   context.Context // ended by Close: the child ought to end
	tell   context.CancelFunc

	reaped  chan struct{} // closed last; what follows is set by then
	state   *os.ProcessState
	waitErr error
}

// reap sees the child through to its end.
func (k *child) reap() {
	defer close(k.reaped)
	select {
	case <-k.proc.Done():
		k.awaitSilence()
	case <-k.told.Done():
		timer := time.NewTimer(k.grace)
		defer timer.Stop()
		select {
		case <-k.proc.Done():
		case <-timer.C:
		}
	}
	_ = unix.Kill(-k.cmd.Process.Pid, unix.SIGKILL) // the leader is ours to reap: the group exists
	k.waitErr = k.cmd.Wait()
	k.state = k.cmd.ProcessState
}

// awaitSilence gives what the child left running the grace to let go of its
// output; without such, it returns at once.
func (k *child) awaitSilence() {
	limit := time.Now().Add(k.grace)
	for _, f := range k.output {
		fd, err := duplicate(f)
		if err != nil {
			continue // closed by Close
		}
		// A descriptor of its own in the poller, so that neither a Read nor
		// its deadline is in the way.
		own := os.NewFile(uintptr(fd), f.Name())
		_ = own.SetReadDeadline(limit)
		stop := context.AfterFunc(k.told, func() { _ = own.SetReadDeadline(time.Unix(1, 0)) })
		if raw, err := own.SyscallConn(); err == nil {
			_ = raw.Read(hungUp)
		}
		stop()
		_ = own.Close()
	}
}

func duplicate(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var derr error
	if err := raw.Control(func(old uintptr) { fd, derr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return -1, err
	}
	return fd, derr
}

// hungUp reports that nobody holds the writing end any more, whatever there
// still is to read.
func hungUp(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&unix.POLLHUP != 0
}

// ending reports whether the child has ended or is past the point of no
// return: a process closes its files a moment before the kernel calls it dead,
// and the end of its output is then the end of the child.
func (k *child) ending() bool {
	if !k.proc.Alive() {
		return true
	}
	// The kernel sets PF_EXITING before it closes a task's files, and never
	// clears it. It is in field 9; the name before may hold brackets itself.
	const pfExiting = 0x4
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", k.cmd.Process.Pid)) // ours until reaped
	if err != nil {
		return !k.proc.Alive()
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&pfExiting != 0
}

// failure waits for the reaping, which what the child left running can put off
// by the grace, and returns how the child failed, or nil. It is
// os.ErrDeadlineExceeded if until comes first; nil never comes.
func (k *child) failure(until <-chan struct{}) error {
	select {
	case <-k.reaped:
	default:
		select {
		case <-k.reaped:
		case <-until:
			return os.ErrDeadlineExceeded
		}
	}
	switch {
	case k.state == nil:
		return k.waitErr
	case k.state.Success():
		return nil
	}
	return &ExitError{k.state}
}
