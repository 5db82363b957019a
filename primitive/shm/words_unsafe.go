// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"sync/atomic"
	"unsafe"
)

// Uint64 is the 64-bit word at offset off of mapped memory. off must be a
// multiple of 8 within b, which starts on a page: an argument that is neither
// is a programming error and panics as an index would.
func Uint64(b []byte, off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&b[off : off+8 : off+8][0]))
}

// Uint32 is the 32-bit word at offset off, a multiple of 4 within b.
func Uint32(b []byte, off int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&b[off : off+4 : off+4][0]))
}
