// SPDX-License-Identifier: Apache-2.0

//go:build unix

package unix

import (
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

func peek(sock *net.UnixConn, p []byte) (n int, err error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return 0, err
	}
	var perr error
	err = raw.Read(func(fd uintptr) bool {
		n, _, perr = unix.Recvfrom(int(fd), p, unix.MSG_PEEK)
		switch {
		case errors.Is(perr, unix.EINTR), errors.Is(perr, unix.EAGAIN):
			return false
		case perr == nil && n == 0:
			perr = io.EOF
		}
		return perr != nil || n == len(p)
	})
	if err != nil {
		return 0, err
	}
	return n, perr
}
