// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"sync/atomic"
	"unsafe"
)

// word64 is the 64-bit word at offset off, a multiple of 8 within b.
func word64(b []byte, off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&b[off : off+8 : off+8][0]))
}

// word32 is the 32-bit word at offset off, a multiple of 4 within b.
func word32(b []byte, off int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&b[off : off+4 : off+4][0]))
}

// jot stores what is for people only, and orders nothing: unlike an atomic
// store it costs no barrier. On 32-bit machines it may be seen half done.
func jot(w *atomic.Uint64, v uint64) { *(*uint64)(unsafe.Pointer(w)) = v }

// words shows the beginning of b, which is aligned, as n words.
func words(b []byte, n int) []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&b[: n*8 : n*8][0])), n)
}

// aligned reports whether b can hold 64-bit atomics.
func aligned(b []byte) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%8 == 0 }
