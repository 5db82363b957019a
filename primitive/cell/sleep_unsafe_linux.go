// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"math"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	futexWait    = 0
	futexWake    = 1
	futexPrivate = 128

	futex2Size32  = 2
	futex2Private = 128
)

// waitv is the kernel's struct futex_waitv.
type waitv struct {
	val   uint64
	uaddr uint64
	flags uint32
	_     uint32
}

// timespec64 is the kernel's struct __kernel_timespec.
type timespec64 struct{ sec, nsec int64 }

// wakeAll wakes every process that sleeps on w. It never blocks.
func wakeAll(w *atomic.Uint32) { wakeWith(w, futexWake) }

// wakePrivate wakes the threads of this process that sleep on w.
func wakePrivate(w *atomic.Uint32) { wakeWith(w, futexWake|futexPrivate) }

func wakeWith(w *atomic.Uint32, op uintptr) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(w)), op, math.MaxInt32, 0, 0, 0)
}

// sleep returns once bell is not b or cancel not c, or, overslept, when it is
// time to look without being called; and now and then for no reason. rested is
// false if this kernel or its seccomp filter lets nobody wait. bell may be
// mapped read-only.
func sleep(bell *atomic.Uint32, b uint32, cancel *atomic.Uint32, c uint32) (overslept, rested bool) {
	overslept, err := sleepTwo(bell, b, cancel, c)
	if err == unix.ENOSYS || err == unix.EPERM { // before 5.16, or a filter that does not know it
		overslept, err = sleepOne(bell, b)
	}
	switch err {
	case unix.Errno(0), unix.EAGAIN, unix.EINTR, unix.ETIMEDOUT:
		return overslept, true
	default:
		return false, false
	}
}

func sleepTwo(bell *atomic.Uint32, b uint32, cancel *atomic.Uint32, c uint32) (bool, unix.Errno) {
	// The kernel wants addresses as 64 bits on every machine. Neither word
	// moves: one is mapped, the other in a Reader, which is on the heap.
	ws := [2]waitv{
		{val: uint64(b), uaddr: uint64(uintptr(unsafe.Pointer(bell))), flags: futex2Size32},
		{val: uint64(c), uaddr: uint64(uintptr(unsafe.Pointer(cancel))), flags: futex2Size32 | futex2Private},
	}
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)    // it has no way to fail
	until := timespec64{int64(now.Sec), int64(now.Nsec)} //nolint:unconvert // 32 bits on some
	until.sec += int64(safety.Seconds())
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&ws)), uintptr(len(ws)), 0,
		uintptr(unsafe.Pointer(&until)), unix.CLOCK_MONOTONIC, 0)
	runtime.KeepAlive(cancel)
	return errno == unix.ETIMEDOUT, errno
}

// sleepOne sleeps on the bell only, and so looks for cancellation itself.
func sleepOne(bell *atomic.Uint32, b uint32) (bool, unix.Errno) {
	limit := unix.NsecToTimespec(slice.Nanoseconds())
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(bell)), futexWait, uintptr(b),
		uintptr(unsafe.Pointer(&limit)), 0, 0)
	return errno == unix.ETIMEDOUT, errno
}
