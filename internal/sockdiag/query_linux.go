// SPDX-License-Identifier: Apache-2.0

package sockdiag

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// maxAnswer is more than one socket's answer with the attributes that the
// kernel adds unasked; a longer one is cut and refused.
const maxAnswer = 4096

// kernel is an open netlink socket to the diagnosis of sockets. It belongs to
// the network namespace of the thread that opened it.
type kernel struct {
	fd  int
	seq uint32
}

func open() (*kernel, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	return &kernel{fd: fd}, nil
}

func (k *kernel) close() { _ = unix.Close(k.fd) }

// find asks for the socket between local and remote. The kernel answers within
// the send, so that nothing here can block; where no connection fits, it looks
// for a listener on local, so the caller checks what it got.
func (k *kernel) find(local, remote netip.AddrPort, cookie uint64) (socket, error) {
	k.seq++
	if err := unix.Sendto(k.fd, encode(local, remote, cookie, k.seq), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return socket{}, err
	}
	var buf [maxAnswer]byte
	n, _, flags, from, err := unix.Recvmsg(k.fd, buf[:], nil, 0)
	if err != nil {
		return socket{}, err
	}
	if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 || flags&unix.MSG_TRUNC != 0 {
		return socket{}, errors.New("an answer that is not the kernel's")
	}
	return decode(buf[:n], k.seq)
}
