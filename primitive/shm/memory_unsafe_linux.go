// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory maps fd once. Frozen memory is mapped private: a shared mapping of
// a file that is open for writing could be made writable, so kernels before
// 6.7 neither allow one once WRITE is sealed nor that seal while there is one.
// Pages that are never written are the file's own in both.
func mapMemory(fd, size int, write, frozen bool) ([]byte, error) {
	prot, flags := protection(write, frozen)
	base, err := unix.MmapPtr(fd, 0, nil, uintptr(size), prot, flags)
	if err != nil {
		return nil, exhausted("map memory", "mmap", err)
	}
	return unsafe.Slice((*byte)(base), size), nil
}

// remapMemory replaces our own mapping at, in one step: for writing, or frozen.
func remapMemory(fd int, at []byte, write bool) error {
	prot, flags := protection(write, !write)
	_, err := unix.MmapPtr(fd, 0, unsafe.Pointer(&at[0]), uintptr(len(at)), prot, flags|unix.MAP_FIXED)
	return exhausted("map memory", "mmap", err)
}

func protection(write, frozen bool) (prot, flags int) {
	prot, flags = unix.PROT_READ, unix.MAP_SHARED
	if write {
		prot |= unix.PROT_WRITE
	}
	if frozen {
		flags = unix.MAP_PRIVATE
	}
	return prot, flags
}
