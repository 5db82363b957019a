// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// attr is struct mq_attr: eight of C's long, which Go's int is on Linux.
type attr struct {
	flags, maxmsg, msgsize, curmsgs int
	_                               [4]int
}

// sigevent is struct sigevent, 64 bytes.
type sigevent struct {
	value  unsafe.Pointer // of the cookie
	signo  int32          // the netlink socket
	notify int32
	_      [64 - 8 - unsafe.Sizeof(uintptr(0))]byte
}

const sigevThread = 2 // SIGEV_THREAD

func mqOpen(name string, flags int, mode uint32, a *attr) (int, error) {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return -1, unix.EINVAL
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)), uintptr(flags), uintptr(mode), uintptr(unsafe.Pointer(a)), 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func mqUnlink(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return unix.EINVAL
	}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// mqSend does not wait: the descriptor is non-blocking, and so no time is
// given, whose size differs between kernels of 32 bits.
func mqSend(fd uintptr, p []byte, priority uint32) error {
	_, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(priority), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func mqReceive(fd uintptr, p []byte) (n int, priority uint32, err error) {
	got, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(unsafe.Pointer(&priority)), 0, 0)
	if errno != 0 {
		return 0, 0, errno
	}
	return int(got), priority, nil
}

func mqAttributes(fd uintptr) (attr, error) {
	var a attr
	if _, _, errno := unix.Syscall(unix.SYS_MQ_GETSETATTR, fd, 0, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return a, errno
	}
	return a, nil
}

// mqNotify asks the kernel to send the cookie, its last byte changed, to the
// netlink socket; it copies the cookie before it returns.
func mqNotify(fd uintptr, socket int32, cookie *[cookieLen]byte) error {
	ev := &sigevent{value: unsafe.Pointer(cookie), signo: socket, notify: sigevThread}
	if _, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, fd, uintptr(unsafe.Pointer(ev)), 0); errno != 0 {
		return errno
	}
	return nil
}

// mqUnnotify takes the process's registration back.
func mqUnnotify(fd uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_MQ_NOTIFY, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
