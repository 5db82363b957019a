// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// pidfdInfo is the kernel's struct pidfd_info in its first version.
type pidfdInfo struct {
	mask, cgroup uint64
	_            [11]uint32 // pids and uids, which we learn elsewhere
	exitCode     int32
}

const (
	pidfdInfoExit = 1 << 3
	pidfdGetInfo  = 3<<30 | unsafe.Sizeof(pidfdInfo{})<<16 | 0xff<<8 | 11 // _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)
)

var errNotReaped = errors.New("its parent has not reaped it yet")

// Exit says how the process ended. A parent can ask as soon as it has, before
// it reaps; anybody else once the parent has reaped it, which is
// fault.Unavailable until then, and needs Linux 6.15: fault.Unsupported.
// It reaps nobody. While the process runs it is fault.Unavailable.
func (p *Process) Exit() (Exit, error) {
	if p.Alive() {
		return Exit{}, fault.New(fault.Unavailable, "ask how process ended", strconv.Itoa(p.pid), errors.New("it has not"))
	}
	var status unix.WaitStatus
	var err error
	cerr := p.raw.Control(func(fd uintptr) {
		if status, err = childStatus(int(fd)); err != nil {
			status, err = anyStatus(fd)
		}
	})
	if cerr != nil {
		return Exit{}, fault.New(fault.Closed, "ask how process ended", strconv.Itoa(p.pid), cerr)
	}
	if err != nil {
		return Exit{}, fault.Wrap("ask how process ended", strconv.Itoa(p.pid), err)
	}
	return exitOf(status), nil
}

// childStatus asks as a parent.
func childStatus(fd int) (unix.WaitStatus, error) {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PIDFD, fd, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
		return 0, err
	}
	if info.Signo == 0 {
		return 0, unix.ECHILD
	}
	c := (*siginfoChild)(unsafe.Pointer(&info))
	const exited, dumped = 1, 3 // CLD_EXITED, CLD_DUMPED
	switch c.code {
	case exited:
		return unix.WaitStatus(c.status << 8), nil
	case dumped:
		return unix.WaitStatus(c.status | 0x80), nil
	}
	return unix.WaitStatus(c.status), nil
}

// anyStatus asks pidfs, which keeps it for whoever had a pidfd.
func anyStatus(fd uintptr) (unix.WaitStatus, error) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	switch {
	case errno == unix.ESRCH, errno == 0 && info.mask&pidfdInfoExit == 0:
		return 0, fault.New(fault.Unavailable, "", "", errNotReaped)
	case errno == unix.ENOTTY, errno == unix.EINVAL:
		return 0, fault.New(fault.Unsupported, "", "", errors.New("only its parent can know")).WithHint("others can from Linux 6.15 on")
	case errno != 0:
		return 0, errno
	}
	return unix.WaitStatus(info.exitCode), nil
}

func exitOf(s unix.WaitStatus) Exit {
	if s.Signaled() {
		word := "signal: " + s.Signal().String()
		if s.CoreDump() {
			word += " (core dumped)"
		}
		return Exit{Code: -1, Signal: int(s.Signal()), Core: s.CoreDump(), Word: word}
	}
	return Exit{Code: s.ExitStatus(), Word: "exit status " + strconv.Itoa(s.ExitStatus())}
}
