// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// seals is what a segment must have before a peer may see it. FUTURE_WRITE is
// the one that stops hole punching, which would un-reserve pages.
const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE

func create(name string, size int) (*Segment, error) {
	if err := headroom(size); err != nil {
		return nil, err
	}
	fd, err := memfd(name)
	if err != nil {
		return nil, exhausted("create segment", "memfd_create", err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		_ = unix.Close(fd)
		return nil, exhausted("create segment", "ftruncate", err)
	}
	if err := reserve(fd, size); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &Segment{fd: fd, size: size, ours: true}, nil
}

// memfd asks for a file that can never be executed, which kernels before 6.3
// do not know.
func memfd(name string) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	return fd, err
}

// reserve allocates every page, so that a full file system is an error here
// and not a fault later. It works on a sealed file, too.
func reserve(fd, size int) error {
	for {
		err := unix.Fallocate(fd, 0, 0, int64(size))
		if err == unix.EINTR {
			continue
		}
		return exhausted("reserve segment", "fallocate", err)
	}
}

func (s *Segment) seal() error {
	if _, err := unix.FcntlInt(uintptr(s.fd), unix.F_ADD_SEALS, seals); err != nil {
		return fault.Wrap("seal segment", "", os.NewSyscallError("fcntl F_ADD_SEALS", err))
	}
	return nil
}

func receive(fd, size int) (*Segment, error) {
	if err := check(fd, size); err != nil {
		return nil, fault.New(fault.Protocol, "check the peer's segment", "", err)
	}
	if err := headroomFor(fd, size); err != nil {
		return nil, err
	}
	if err := reserve(fd, size); err != nil {
		return nil, err
	}
	return &Segment{fd: fd, size: size}, nil
}

// check asks for the seals first: only a memory file has any, so nothing else
// is touched further.
func check(fd, size int) error {
	got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return fmt.Errorf("it is no memory file: %w", os.NewSyscallError("fcntl F_GET_SEALS", err))
	}
	if got&seals != seals {
		return fmt.Errorf("its seals are %#x, not %#x", got, seals)
	}
	return checkShape(fd, size)
}

// checkShape wants size bytes in a regular file on a tmpfs.
func checkShape(fd, size int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	if int64(fs.Type) != unix.TMPFS_MAGIC { //nolint:unconvert // 32 bits on some
		return fmt.Errorf("it lies on a file system of type %#x, not tmpfs", fs.Type)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != int64(size) {
		return fmt.Errorf("it has %d bytes and mode %#o, not %d bytes in a regular file", st.Size, st.Mode, size)
	}
	return nil
}

func exhausted(op, call string, err error) error {
	if err == nil {
		return nil
	}
	e := fault.New(fault.KindOf(err), op, "", os.NewSyscallError(call, err))
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.ENOMEM):
		return e.WithHint("memory for shared rings ran out: lower the ring size or the budget")
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return e.WithHint("raise `ulimit -n`, or close connections")
	}
	return e
}

func closeFD(fd int) error { return unix.Close(fd) }
