// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

var errWouldWait = errors.New("nothing there")

// parseFDs collects the descriptors of one message. On error it has closed
// them all.
func parseFDs(oob []byte, flags int) ([]int, error) {
	if len(oob) == 0 && flags&unix.MSG_CTRUNC == 0 {
		return nil, nil
	}
	var fds []int
	messages, err := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		if m := &messages[i]; m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_RIGHTS {
			got, err := unix.ParseUnixRights(m)
			if err == nil {
				fds = append(fds, got...)
			}
		}
	}
	if err == nil && flags&unix.MSG_CTRUNC == 0 {
		return fds, nil
	}
	closeAll(fds)
	if err != nil {
		return nil, fault.New(fault.Protocol, "receive files", "", err)
	}
	return nil, fault.New(fault.Exhausted, "receive files", "", errors.New("some files did not arrive: too many at once, or our descriptor table is full")).
		WithHint("raise `ulimit -n`, or send fewer at once")
}

// wakeUp is the message msgWake.
var wakeUp = []byte{msgWake}

// sendWake sends one byte without waiting; no room is no error.
func sendWake(fd int) error {
	for {
		switch err := unix.Send(fd, wakeUp, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err {
		case nil, unix.EAGAIN:
			return nil
		case unix.EINTR:
		default:
			return os.NewSyscallError("send", err)
		}
	}
}

// sendFiles sends p, a few bytes, with descriptors; false means no room yet.
func sendFiles(fd int, p []byte, fds []int) (bool, error) {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		n, err := unix.SendmsgN(fd, p, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EAGAIN:
			return false, nil
		case err == unix.EINTR:
			continue
		case err == unix.ETOOMANYREFS:
			return true, fault.New(fault.Exhausted, "send files", "", os.NewSyscallError("sendmsg", err)).
				WithHint("too many files are on their way between processes of this user: let the peers read")
		case err != nil:
			return true, os.NewSyscallError("sendmsg", err)
		case n != len(p):
			return true, errors.New("the socket took half a message")
		}
		return true, nil
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// descriptors reads the numbers without File.Fd, which would put the files
// back to blocking mode.
func descriptors(files []*os.File) ([]int, error) {
	fds := make([]int, 0, len(files))
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "send files", f.Name(), err)
		}
	}
	return fds, nil
}

// isGone says whether err is how a socket tells that its peer has gone.
func isGone(err error) bool {
	return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ENOTCONN)
}
