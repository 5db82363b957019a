// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/transport"
)

// receiver is what recvmsg needs, kept from call to call, because a sleeper
// should wake without allocating. It belongs to one goroutine at a time.
type receiver struct {
	header unix.Msghdr
	vector unix.Iovec
	oob    [24 + 4*transport.MaxFiles]byte // one control message of MaxFiles descriptors
}

// receive reads what is there, without waiting. The descriptors are the
// caller's, close-on-exec; if not all of them arrived, none does. p is not
// empty.
func (r *receiver) receive(fd int, p []byte) (int, []int, error) {
	r.vector.Base = &p[0]
	r.vector.SetLen(len(p))
	for {
		r.header = unix.Msghdr{Iov: &r.vector, Control: &r.oob[0]}
		r.header.SetIovlen(1)
		r.header.SetControllen(len(r.oob))
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.header)), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch errno {
		case 0:
			r.vector.Base = nil
			fds, err := parseFDs(r.oob[:r.header.Controllen], int(r.header.Flags))
			return int(n), fds, err
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil, errWouldWait
		default:
			return 0, nil, os.NewSyscallError("recvmsg", errno)
		}
	}
}
