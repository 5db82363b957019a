// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// Process holds a pidfd: it means one process for ever, dead or alive. All
// methods may be called at once, from any goroutine.
type Process struct {
	file *os.File // the pidfd, in the poller
	raw  syscall.RawConn
	pid  int

	watch     sync.Once
	done      chan struct{} // closed when the process has ended
	closed    chan struct{} // closed by Close
	closeOnce sync.Once
	closeErr  error
	wg        sync.WaitGroup
}

// Open returns a handle on the process that has this pid now. It is only as
// good as the caller's knowledge that the pid is still whose it means: a
// parent's before it reaps, or one checked by other means afterwards. A pid
// that nobody has is fault.NotFound.
func Open(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, openError(pid, err)
	}
	return newProcess(os.NewFile(uintptr(fd), "pidfd"), pid)
}

func openError(pid int, err error) error {
	e := fault.New(fault.KindOf(err), "open process", strconv.Itoa(pid), os.NewSyscallError("pidfd_open", err))
	switch err {
	case unix.ESRCH:
		e.Kind = fault.NotFound
	case unix.ENOENT, unix.EINVAL:
		e.Kind = fault.Invalid // the number of a thread, or none at all
	case unix.ENOSYS:
		e.Kind, e.Hint = fault.Unsupported, "it needs Linux 5.10"
	case unix.EPERM:
		e.Hint = "a sandbox (seccomp) forbids pidfd_open here: allow it"
	}
	return e
}

// FromFD makes a handle of a pidfd that the caller got elsewhere, such as from
// a socket. It owns pidfd from now on. It sets O_NONBLOCK, so the open file
// description must be shared with nobody: not with a stranger, who could clear
// it, nor with os/exec, whose Wait then fails (syscall.SysProcAttr.PidFD gives
// such a one: use Open for a child).
func FromFD(pidfd *os.File) (*Process, error) {
	pid, err := pidOf(pidfd)
	if err != nil {
		return nil, errors.Join(fault.New(fault.Invalid, "open process", pidfd.Name(), err), pidfd.Close())
	}
	// Only a descriptor that is non-blocking when os.NewFile sees it enters
	// the poller; the caller's os.File may have been made before.
	fd, err := duplicate(pidfd)
	if err := errors.Join(err, pidfd.Close()); err != nil {
		return nil, fault.Wrap("open process", strconv.Itoa(pid), err)
	}
	return newProcess(os.NewFile(uintptr(fd), "pidfd"), pid)
}

func duplicate(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var derr error
	if err := raw.Control(func(old uintptr) {
		if fd, derr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0); derr == nil {
			derr = unix.SetNonblock(fd, true)
		}
	}); err != nil {
		return -1, err
	}
	return fd, derr
}

// pidOf reads the number from /proc/self/fdinfo; it fails for what is no pidfd.
func pidOf(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info []byte
	var rerr error
	if err := raw.Control(func(fd uintptr) { info, rerr = os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd)) }); err != nil {
		return 0, err
	}
	if rerr != nil {
		return 0, rerr
	}
	for lines := bufio.NewScanner(strings.NewReader(string(info))); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "Pid:"); ok {
			return strconv.Atoi(strings.TrimSpace(v))
		}
	}
	return 0, errors.New("this descriptor is no pidfd")
}

func newProcess(file *os.File, pid int) (*Process, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fault.Wrap("open process", strconv.Itoa(pid), err), file.Close())
	}
	return &Process{file: file, raw: raw, pid: pid, done: make(chan struct{}), closed: make(chan struct{})}, nil
}

// Pid is the number that the process had when the handle was made, as our own
// PID namespace counts; -1 if FromFD was given a process that had been reaped,
// 0 if it lives in a namespace that ours cannot see. For people to read.
func (p *Process) Pid() int { return p.pid }

// Alive reports whether the process has not yet ended. One that ended and
// waits for its parent to reap it is not alive.
func (p *Process) Alive() bool {
	ended := true // after Close, nothing is known: say the safe thing
	_ = p.raw.Control(func(fd uintptr) { ended = hasEnded(fd) })
	return !ended
}

func hasEnded(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return err == nil && n > 0
		}
	}
}

// Done returns a channel that is closed when the process has ended. After
// Close it stays as it is.
func (p *Process) Done() <-chan struct{} {
	p.watch.Do(func() {
		p.wg.Go(func() {
			if p.raw.Read(hasEnded) == nil {
				close(p.done)
			}
		})
	})
	return p.done
}

// Wait waits until the process has ended, ctx ends, or the handle is closed.
// It does not reap: only a parent can, by its own means.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
		return fault.Wrap("wait for process", strconv.Itoa(p.pid), context.Cause(ctx))
	case <-p.closed:
		return fault.New(fault.Closed, "wait for process", strconv.Itoa(p.pid), nil)
	}
}

// Signal sends sig to the process, never to a later one with its number. A
// process that has ended is fault.NotFound.
func (p *Process) Signal(sig syscall.Signal) error { return p.send(sig, nil, 0) }

// SignalGroup sends sig to all of the process group that the process leads or
// led, even after its own end, and never to a later group with its number. It
// needs Linux 6.9: fault.Unsupported. A group that nobody is in, or never was,
// is fault.NotFound.
func (p *Process) SignalGroup(sig syscall.Signal) error {
	const toGroup = 1 << 2 // PIDFD_SIGNAL_PROCESS_GROUP
	return p.send(sig, nil, toGroup)
}

func (p *Process) send(sig syscall.Signal, info *unix.Siginfo, flags int) error {
	var serr error
	err := p.raw.Control(func(fd uintptr) {
		if serr = unix.ESRCH; flags != 0 || !hasEnded(fd) { // the kernel takes signals for one that waits to be reaped
			serr = unix.PidfdSendSignal(int(fd), sig, info, flags)
		}
	})
	if err != nil {
		return fault.New(fault.Closed, "signal process", strconv.Itoa(p.pid), err)
	}
	if serr == nil {
		return nil
	}
	e := fault.New(fault.KindOf(serr), "signal process", strconv.Itoa(p.pid), os.NewSyscallError("pidfd_send_signal", serr))
	switch {
	case serr == unix.ESRCH:
		e.Kind = fault.NotFound
	case serr == unix.EAGAIN:
		e.Kind, e.Hint = fault.Exhausted, "too many signals wait for it: raise `ulimit -i`, or see why it does not take them"
	case serr == unix.EINVAL && flags != 0:
		e.Kind, e.Hint = fault.Unsupported, "to signal a group so needs Linux 6.9"
	case serr == unix.EINVAL:
		e.Kind = fault.Invalid
	}
	return e
}

// Close gives the handle up and waits for what Done started. The process goes
// on. It is idempotent.
func (p *Process) Close() error {
	p.closeOnce.Do(func() {
		close(p.closed)
		p.closeErr = p.file.Close()
		p.watch.Do(func() {}) // nothing starts after wg.Wait
		p.wg.Wait()
	})
	return p.closeErr
}
