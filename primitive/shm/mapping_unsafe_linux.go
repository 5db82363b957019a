// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

func (s *Segment) mapTwice(head int, write bool) (*Mapping, error) {
	page, tail := os.Getpagesize(), s.size-head
	if head < 0 || tail <= 0 || head%page != 0 || tail%page != 0 {
		return nil, fault.New(fault.Invalid, "map segment", "", fmt.Errorf("head of %d in %d bytes, pages of %d", head, s.size, page))
	}
	prot := unix.PROT_READ
	if write {
		prot |= unix.PROT_WRITE
	}
	whole := uintptr(s.size + tail)
	base, err := unix.MmapPtr(-1, 0, nil, whole, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, exhausted("map segment", "mmap", err)
	}
	// The reservation above is ours alone, so MAP_FIXED replaces nothing else.
	_, err1 := unix.MmapPtr(s.fd, 0, base, uintptr(s.size), prot, unix.MAP_SHARED|unix.MAP_FIXED)
	_, err2 := unix.MmapPtr(s.fd, int64(head), unsafe.Add(base, s.size), uintptr(tail), prot, unix.MAP_SHARED|unix.MAP_FIXED)
	if err := errors.Join(err1, err2); err != nil {
		_ = unix.MunmapPtr(base, whole)
		return nil, exhausted("map segment", "mmap", err)
	}
	all := unsafe.Slice((*byte)(base), whole)
	return &Mapping{base: all, Head: all[:head:head], Tail: all[head:]}, nil
}

func unmap(base []byte) error {
	return os.NewSyscallError("munmap", unix.MunmapPtr(unsafe.Pointer(&base[0]), uintptr(len(base))))
}
