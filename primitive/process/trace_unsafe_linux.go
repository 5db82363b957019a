// SPDX-License-Identifier: Apache-2.0

package process

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ptraceGetSigmask = 0x420a
	ptraceSetSigmask = 0x420b

	cldTrapped = 4 // CLD_TRAPPED
)

// unblock takes signals off the mask of a program that is held.
func unblock(pid int, signals uint64) error {
	var mask uint64
	if err := ptraceMask(ptraceGetSigmask, pid, &mask); err != nil {
		return err
	}
	mask &^= signals
	return ptraceMask(ptraceSetSigmask, pid, &mask)
}

// ptraceMask is for the kernel's sigset_t of 64 bits, which begins with the
// low half on all machines that are little-endian.
func ptraceMask(request, pid int, mask *uint64) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(pid), unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// held reports that waitid(2) found the program stopped for us.
func held(info *unix.Siginfo) bool {
	return (*siginfoHead)(unsafe.Pointer(info)).code == cldTrapped
}
