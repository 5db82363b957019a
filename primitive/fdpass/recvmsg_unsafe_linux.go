// SPDX-License-Identifier: Apache-2.0

package fdpass

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxOOB is at least unix.CmsgSpace(4*Max), which is no constant: a header of
// at most 16 bytes, and the descriptors.
const maxOOB = 16 + 4*Max

// receipt is one recvmsg: what to give the kernel, and what it gave. net's
// and x/sys' own wrappers allocate for each call.
type receipt struct {
	oob [maxOOB]byte
	hdr unix.Msghdr
	iov unix.Iovec
}

// recvmsg reads into p, which must not be empty, without waiting.
func (r *receipt) recvmsg(fd uintptr, p []byte) (n, oobn, flags int, err error) {
	r.iov.Base = &p[0]
	r.iov.SetLen(len(p))
	r.hdr = unix.Msghdr{Iov: &r.iov, Control: &r.oob[0]}
	r.hdr.SetIovlen(1)
	r.hdr.SetControllen(unix.CmsgSpace(4 * Max)) // one file more is truncated
	for {
		got, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.hdr)), unix.MSG_CMSG_CLOEXEC)
		if errno == unix.EINTR {
			continue
		}
		r.iov.Base = nil // the caller's memory is its own again
		if errno != 0 {
			return 0, 0, 0, errno
		}
		return int(got), int(r.hdr.Controllen), int(r.hdr.Flags), nil
	}
}
