// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
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

// newPair makes a pair of sockets: ours, and the peer's until it is sent.
func newPair() (*net.UnixConn, int, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("socketpair", err)
	}
	sock, err := unixConn(fds[0])
	if err != nil {
		closeAll(fds[1:])
		return nil, -1, err
	}
	return sock, fds[1], nil
}

// unixConn owns fd.
func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "rendezvous")
	c, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		return nil, err
	}
	sock, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, fault.New(fault.Protocol, "attach rings", "", errNoSocket)
	}
	return sock, nil
}

var errNoSocket = errors.New("the new socket is none that two processes share")

// adopt takes an end of a pair that id has made, and owns fd. The kernel says
// who holds the other end: a socket to somebody else would make us speak to
// him for the peer.
func adopt(fd int, id auth.Identity) (*net.UnixConn, error) {
	domain, err1 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	kind, err2 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	who, err3 := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	_, err4 := unix.Getpeername(fd) // is it connected?
	if errors.Join(err1, err2, err3, err4) != nil || domain != unix.AF_UNIX || kind != unix.SOCK_STREAM {
		closeAll([]int{fd})
		return nil, fault.New(fault.Protocol, "attach rings", "", errNoSocket)
	}
	if id.HasUID && who.Uid != id.UID {
		closeAll([]int{fd})
		return nil, fault.New(fault.Denied, "attach rings", "", fmt.Errorf("uid %d holds the other end of the new socket, not uid %d", who.Uid, id.UID))
	}
	return unixConn(fd)
}
