// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"runtime"
	"sync/atomic"
	"time"
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

// Wake wakes up to n of those that sleep on w, in any process, and says how
// many. It never blocks.
func Wake(w *atomic.Uint32, n int) int { return wakeWith(w, futexWake, n) }

// WakePrivate is Wake for a word that only this process's threads sleep on: the
// second word of a Wait.
func WakePrivate(w *atomic.Uint32, n int) int { return wakeWith(w, futexWake|futexPrivate, n) }

func wakeWith(w *atomic.Uint32, op uintptr, n int) int {
	woken, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(w)), op, uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(woken)
}

// Wait returns once word is not v or cancel not c; overslept, once limit (more
// than zero) has passed; and now and then for no reason. rested is false if
// this kernel or its seccomp filter lets nobody wait. word is shared with other
// processes and may be mapped read-only; cancel belongs to this process, on the
// heap, and is woken by WakePrivate. The thread sleeps with the goroutine: take
// a seat first (Enter).
func Wait(word *atomic.Uint32, v uint32, cancel *atomic.Uint32, c uint32, limit time.Duration) (overslept, rested bool) {
	overslept, err := waitTwo(word, v, cancel, c, limit)
	if err == unix.ENOSYS || err == unix.EPERM { // before 5.16, or a filter that does not know it
		if cancel.Load() != c {
			return false, true
		}
		overslept, err = waitOne(word, v, min(limit, slice))
		overslept = overslept && limit <= slice // else it was our look for cancellation that came due
	}
	return rest(overslept, err)
}

func rest(overslept bool, err unix.Errno) (bool, bool) {
	switch err {
	case unix.Errno(0), unix.EAGAIN, unix.EINTR, unix.ETIMEDOUT:
		return overslept, true
	default:
		return false, false
	}
}

// wait sleeps while word is v, until it is woken. rested is false if this
// system lets nobody wait.
func wait(word *atomic.Uint32, v uint32) (rested bool) {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(v), 0, 0, 0)
	return errno == 0 || errno == unix.EAGAIN || errno == unix.EINTR
}

func waitTwo(word *atomic.Uint32, v uint32, cancel *atomic.Uint32, c uint32, limit time.Duration) (bool, unix.Errno) {
	// The kernel wants addresses as 64 bits on every machine. Neither word
	// moves: one is mapped, the other on the heap.
	ws := [2]waitv{
		{val: uint64(v), uaddr: uint64(uintptr(unsafe.Pointer(word))), flags: futex2Size32},
		{val: uint64(c), uaddr: uint64(uintptr(unsafe.Pointer(cancel))), flags: futex2Size32 | futex2Private},
	}
	overslept, errno := waitMany(ws[:], limit)
	runtime.KeepAlive(cancel)
	return overslept, errno
}

func waitMany(ws []waitv, limit time.Duration) (bool, unix.Errno) {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it has no way to fail
	end := time.Duration(now.Nano()) + limit
	until := timespec64{int64(end / time.Second), int64(end % time.Second)}
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&ws[0])), uintptr(len(ws)), 0,
		uintptr(unsafe.Pointer(&until)), unix.CLOCK_MONOTONIC, 0)
	return errno == unix.ETIMEDOUT, errno
}

// waitOne sleeps on the word only; its caller looks for cancellation.
func waitOne(word *atomic.Uint32, v uint32, limit time.Duration) (bool, unix.Errno) {
	until := unix.NsecToTimespec(limit.Nanoseconds())
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(v),
		uintptr(unsafe.Pointer(&until)), 0, 0)
	return errno == unix.ETIMEDOUT, errno
}
