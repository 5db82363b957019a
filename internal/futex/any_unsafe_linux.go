// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WaitAny is Wait for 1 to MaxWords shared words: it returns once any of them
// is not as it was. Where the kernel cannot wait for several, it waits for the
// first, and oversleeps every 20 ms so that its caller can look at the rest.
func WaitAny(words []Word, cancel *atomic.Uint32, c uint32, limit time.Duration) (overslept, rested bool) {
	var ws [MaxWords + 1]waitv
	for i, w := range words {
		ws[i] = waitv{val: uint64(w.Value), uaddr: uint64(uintptr(unsafe.Pointer(w.Addr))), flags: futex2Size32}
	}
	n := len(words)
	ws[n] = waitv{val: uint64(c), uaddr: uint64(uintptr(unsafe.Pointer(cancel))), flags: futex2Size32 | futex2Private}
	overslept, err := waitMany(ws[:n+1], limit)
	runtime.KeepAlive(cancel)
	if err == unix.ENOSYS || err == unix.EPERM {
		if cancel.Load() != c {
			return false, true
		}
		overslept, err = waitOne(words[0].Addr, words[0].Value, min(limit, slice))
	}
	return rest(overslept, err)
}
