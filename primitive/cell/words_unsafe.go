// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"sync/atomic"
	"unsafe"
)

// bytesOf is the memory of v. T has no pointers: shapeOf has seen to that.
func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// words shows b, whose length is a multiple of 8 and not 0, as words. b must
// be aligned.
func words(b []byte) []atomic.Uint64 {
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&b[0])), len(b)/8)
}

// word32 is the 32-bit word at offset off, a multiple of 4 within b.
func word32(b []byte, off int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&b[off : off+4 : off+4][0]))
}

// aligned reports whether b can hold 64-bit atomics.
func aligned(b []byte) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%8 == 0 }
