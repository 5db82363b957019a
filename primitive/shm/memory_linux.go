// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// fixed is what memory must be sealed with besides WRITE, which ends all
// writing, or FUTURE_WRITE, which leaves the owner the mapping that it has.
// Either stops hole punching, too.
const fixed = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW

// withFD lends f's descriptor without File.Fd, which changes its mode.
func withFD(f *os.File, use func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = use(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func checkMemory(f *os.File, size int) (frozen bool, err error) {
	err = withFD(f, func(fd int) error {
		got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		if err != nil {
			return fmt.Errorf("it is no memory file: %w", os.NewSyscallError("fcntl F_GET_SEALS", err))
		}
		frozen = got&unix.F_SEAL_WRITE != 0
		if got&fixed != fixed || !frozen && got&unix.F_SEAL_FUTURE_WRITE == 0 {
			return fmt.Errorf("its seals are %#x, not %#x with %#x or %#x", got, fixed, unix.F_SEAL_WRITE, unix.F_SEAL_FUTURE_WRITE)
		}
		mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			return os.NewSyscallError("fcntl F_GETFL", err)
		}
		if mode&unix.O_ACCMODE == unix.O_WRONLY {
			return errors.New("it is open for writing only")
		}
		return checkShape(fd, size)
	})
	if err != nil {
		return false, fault.New(fault.Protocol, "check the peer's memory", "", err)
	}
	return frozen, nil
}

// open maps received memory once every page of it is known to be there. The
// number of its blocks proves nothing: a peer can have allocated some beyond
// the end. A page once there stays, for the seals forbid punching.
func (b *block) open() (bytes []byte, err error) {
	err = withFD(b.file, func(fd int) error {
		hole, err := unix.Seek(fd, 0, unix.SEEK_HOLE)
		if err != nil || hole < int64(b.size) { // or a page reserved and never touched
			if err := headroom(b.size); err != nil {
				return err
			}
			if err := reserve(fd, b.size); err != nil {
				return err
			}
		}
		bytes, err = mapMemory(fd, b.size, false, b.frozen)
		return err
	})
	return bytes, err
}

// freeze replaces our writable mapping by one that can never be written,
// which the seal demands, at the same address: readers notice nothing.
func (b *block) freeze() error {
	return withFD(b.file, func(fd int) error {
		if err := remapMemory(fd, b.bytes, false); err != nil {
			return err
		}
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, fixed|unix.F_SEAL_WRITE)
		if err == nil {
			return nil
		}
		_ = remapMemory(fd, b.bytes, true)
		e := fault.New(fault.KindOf(err), "seal memory", "", os.NewSyscallError("fcntl F_ADD_SEALS", err))
		if err == unix.EBUSY {
			return e.WithHint("somebody else has mapped it for writing, or the kernel is writing to it")
		}
		return e
	})
}

// keep leaves us the mapping that we have, and nobody a new one to write.
func (b *block) keep() error {
	return withFD(b.file, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, fixed|unix.F_SEAL_FUTURE_WRITE)
		return fault.Wrap("seal memory", "", os.NewSyscallError("fcntl F_ADD_SEALS", err))
	})
}
