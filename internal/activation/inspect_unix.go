// SPDX-License-Identifier: Apache-2.0

//go:build unix

package activation

import (
	"net"

	"golang.org/x/sys/unix"
)

// inspect marks the descriptor close-on-exec, as sd_listen_fds(3) does, and
// learns where it is bound. It reports whether it is a stream socket that
// listens.
func (s *socket) inspect() bool {
	unix.CloseOnExec(s.fd)
	kind, err1 := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TYPE)
	listens, err2 := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err1 != nil || err2 != nil || kind != unix.SOCK_STREAM || listens == 0 {
		return false
	}
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return false
	}
	switch sa := sa.(type) {
	case *unix.SockaddrUnix:
		s.addr = &net.UnixAddr{Name: sa.Name, Net: "unix"}
	case *unix.SockaddrInet4:
		s.addr = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *unix.SockaddrInet6:
		s.addr = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	}
	return s.addr != nil
}
