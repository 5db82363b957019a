// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/waitfd"
)

// Receiver receives signals with their senders. Its methods may run at once:
// those who wait take turns, each under its own context.
type Receiver struct {
	fd *waitfd.FD // the signalfd, ours alone
}

// Receive receives sigs, which BlockSignals must have blocked in this program:
// otherwise it is fault.Invalid.
func Receive(sigs ...syscall.Signal) (*Receiver, error) {
	missing, err := unblocked(sigs)
	if err != nil {
		return nil, fault.Wrap("receive signals", "", err)
	}
	if len(missing) > 0 || len(sigs) == 0 {
		return nil, fault.New(fault.Invalid, "receive signals", "", fmt.Errorf("%v are not blocked", missing)).
			WithHint("call process.BlockSignals with them first in main")
	}
	set := setOf(sigs)
	fd, err := unix.Signalfd(-1, &set, unix.SFD_NONBLOCK|unix.SFD_CLOEXEC)
	if err != nil {
		return nil, fault.Wrap("receive signals", "", os.NewSyscallError("signalfd", err))
	}
	w, err := waitfd.New(uintptr(fd), "signalfd")
	if err != nil {
		return nil, errors.Join(fault.Wrap("receive signals", "", err), unix.Close(fd))
	}
	return &Receiver{w}, nil
}

// Next waits for a signal until ctx ends or the Receiver is closed.
func (r *Receiver) Next(ctx context.Context) (Received, error) {
	var b [signalfdInfoSize]byte
	var n int
	var rerr error
	err := r.fd.Read(ctx, func(fd uintptr) bool {
		n, rerr = unix.Read(int(fd), b[:])
		return rerr != unix.EAGAIN && rerr != unix.EINTR
	})
	if err == nil {
		err = os.NewSyscallError("read", rerr)
	}
	if err == nil && n != len(b) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Received{}, fault.Wrap("receive signals", "", err)
	}
	return receivedFrom(&b), nil
}

// Close ends all waits with fault.Closed. Signals stay blocked.
func (r *Receiver) Close() error { return fault.Wrap("receive signals", "", r.fd.Close()) }
