// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fdpass"
)

// supported says whether this system has what the engine needs.
const supported = true

// say sends one byte without waiting. No room for it is no error: whoever has
// so many bytes to read will not miss this one.
func say(fd int, msg *[1]byte) {
	for unix.Send(fd, msg[:], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) == unix.EINTR {
	}
}

// sendFD sends b with the descriptor, which stays the caller's.
func sendFD(sock *net.UnixConn, b []byte, fd int) error {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fault.Wrap("send a segment", "", os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err))
	}
	f := os.NewFile(uintptr(dup), "segment")
	defer func() { _ = f.Close() }()
	_, err = fdpass.Write(sock, b, []*os.File{f})
	return err
}

// takeFD takes the descriptor out of a file that arrived.
func takeFD(f *os.File) (int, error) {
	defer func() { _ = f.Close() }()
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dup int
	var derr error
	if err := raw.Control(func(fd uintptr) { dup, derr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return dup, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", derr)
}

// hear reads what the peer has said, without waiting, and reports whether
// there was anything, an end included.
func hear(fd int, buf []byte) (n int, ended, nothing bool) {
	for {
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, false, true
		case err != nil || n == 0:
			return 0, true, false
		default:
			return n, false, false
		}
	}
}
