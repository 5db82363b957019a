// SPDX-License-Identifier: Apache-2.0

//go:build unix

package unix

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// TryWrite writes as much of p as the socket takes at once.
func (c *Conn) TryWrite(p []byte) (int, error) {
	n, err := tryWrite(c.sock, p)
	c.countOut(n, 0)
	return n, err
}

func tryWrite(sock syscall.Conn, p []byte) (n int, err error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return 0, err
	}
	var werr error
	err = raw.Write(func(fd uintptr) bool {
		n, werr = unix.SendmsgN(int(fd), p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return true
	})
	switch {
	case err != nil:
		return 0, err
	case errors.Is(werr, unix.EAGAIN), errors.Is(werr, unix.EINTR):
		return 0, nil
	case werr != nil:
		return 0, fault.Wrap("write", "", werr)
	}
	return n, nil
}
