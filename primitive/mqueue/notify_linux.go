// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/waitfd"
)

// cookieLen is NOTIFY_COOKIE_LEN: what the kernel sends to the socket, with
// how it came to that in the last byte.
const cookieLen = 32

const (
	wokenUp = 1 // NOTIFY_WOKENUP
	removed = 2 // NOTIFY_REMOVED
)

// Notification is this process's registration with a queue to be told, once,
// when a message comes into it while it is empty and nobody waits to receive.
type Notification struct {
	q      *Queue
	socket *waitfd.FD
}

// Notify registers. A queue has one registration at a time, whoever's it is:
// a second is fault.InUse. The kernel drops it when it has told, when this
// process closes any descriptor of the queue, and when it dies. It is
// mq_notify(3)'s, told through a socket in the poller: no signal and no thread.
func (q *Queue) Notify() (*Notification, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fault.Wrap("notify of queue", q.name, os.NewSyscallError("socket", err))
	}
	var cookie [cookieLen]byte
	var nerr error
	err = q.fd.Control(func(fd uintptr) { nerr = mqNotify(fd, int32(socket), &cookie) })
	if err := errors.Join(err, os.NewSyscallError("mq_notify", nerr)); err != nil {
		e := fault.New(fault.KindOf(err), "notify of queue", q.name, err)
		if nerr == unix.EBUSY {
			e.Kind = fault.InUse
		}
		return nil, errors.Join(e, unix.Close(socket))
	}
	w, err := waitfd.New(uintptr(socket), q.name)
	if err != nil {
		return nil, errors.Join(fault.Wrap("notify of queue", q.name, err), unix.Close(socket))
	}
	return &Notification{q: q, socket: w}, nil
}

// Wait waits until the message has come; receive it after that, and mind that
// another process may be quicker. If the registration was dropped it is
// fault.Closed. To be told again, call Notify again before the queue has been
// emptied.
func (n *Notification) Wait(ctx context.Context) error {
	var cookie [cookieLen]byte
	var got int
	var rerr error
	err := n.socket.Read(ctx, func(fd uintptr) bool {
		rerr = again(func() (err error) { got, err = unix.Read(int(fd), cookie[:]); return err })
		return rerr != unix.EAGAIN
	})
	switch {
	case err != nil:
		return fault.Wrap("wait for queue", n.q.name, err)
	case rerr != nil:
		return fault.Wrap("wait for queue", n.q.name, os.NewSyscallError("read", rerr))
	case got == cookieLen && cookie[cookieLen-1] == wokenUp:
		return nil
	}
	return fault.New(fault.Closed, "wait for queue", n.q.name, errors.New("the registration was dropped"))
}

// Close takes the registration back, if it is still there, and ends a Wait. It
// is idempotent.
func (n *Notification) Close() error {
	if err := n.socket.Close(); err != nil {
		return nil //nolint:nilerr // closed before
	}
	_ = n.q.fd.Control(func(fd uintptr) { _ = mqUnnotify(fd) }) // a queue that is closed has none
	return nil
}
