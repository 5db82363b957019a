// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// waits is a descriptor, for a call that does not wait, and for one that is
// repeated until the descriptor is ready.
type waits struct {
	control func(func(fd uintptr)) error
	ready   func(try func(fd uintptr) (done bool)) error
}

// join repeats call, which never waits and says EAGAIN without telling whose
// fault it is, until it has moved something.
func join(dst, src waits, n int, call func(r, w uintptr, n int) (int, error)) (int, error) {
	for {
		moved, full, err := once(dst, src, n, call)
		switch {
		case err != nil:
			return 0, err
		case !full && moved == 0 && n > 0:
			return 0, io.EOF
		case !full:
			return moved, nil
		}
		if err := dst.ready(func(w uintptr) bool { return isReady(w, unix.POLLOUT) }); err != nil {
			return 0, err
		}
	}
}

// once waits for src; full is that dst had no room.
func once(dst, src waits, n int, call func(r, w uintptr, n int) (int, error)) (moved int, full bool, err error) {
	var cerr error
	err = src.ready(func(r uintptr) bool {
		if err := dst.control(func(w uintptr) { moved, cerr = again(func() (int, error) { return call(r, w, n) }) }); err != nil {
			cerr = err
		}
		if cerr != unix.EAGAIN {
			return true
		}
		full = isReady(r, unix.POLLIN)
		return full
	})
	if err != nil || full {
		return 0, full, err
	}
	return moved, false, cerr
}

// isReady looks, and waits where the descriptor is not non-blocking: such a
// one is not in the poller.
func isReady(fd uintptr, want int16) bool {
	patience := 0
	if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err == nil && flags&unix.O_NONBLOCK == 0 {
		patience = -1
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: want}}
	for {
		n, err := unix.Poll(fds, patience)
		if err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}

func splice(r, w uintptr, n int) (int, error) {
	moved, err := unix.Splice(int(r), nil, int(w), nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	return int(moved), named("splice", err) //nolint:unconvert // its type differs by architecture
}

func tee(r, w uintptr, n int) (int, error) {
	moved, err := unix.Tee(int(r), int(w), n, unix.SPLICE_F_NONBLOCK)
	return int(moved), named("tee", err)
}

// named leaves alone what callers compare.
func named(call string, err error) error {
	if err == unix.EAGAIN || err == unix.EINTR {
		return err
	}
	return os.NewSyscallError(call, err)
}

// Vmsplice puts memory into e, a pipe's writing end, by reference: what of p
// fits, after waiting for room. The pages are in the pipe, not copies of
// them, until a reader has taken the bytes; if that splices them on, until
// they have left there. So p must stay as it is, and mapped, until the reader
// has confirmed in some other way. Give it memory of a mapping, such as
// shm's, and none of Go's heap, which may be used again.
func Vmsplice(ctx context.Context, e *End, p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	iov := []unix.Iovec{{Base: &p[0]}}
	iov[0].SetLen(len(p))
	var verr error
	err = e.fd.Write(ctx, func(fd uintptr) bool {
		n, verr = again(func() (int, error) { return unix.Vmsplice(int(fd), iov, unix.SPLICE_F_NONBLOCK) })
		return verr != unix.EAGAIN
	})
	if err := errors.Join(err, os.NewSyscallError("vmsplice", verr)); err != nil {
		return 0, fault.Wrap("vmsplice", e.name, err)
	}
	return n, nil
}
