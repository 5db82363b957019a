// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/waitfd"
)

// Queue is an open queue. All its methods may run at once; goroutines that
// wait on one Queue take turns, in no stated order.
type Queue struct {
	name string // with its leading slash
	fd   *waitfd.FD
	size int // bytes of the largest message

	buffers sync.Pool // *[]byte of that size
}

// Open opens the queue called name, such as "/orders"; the slash may be left
// out. Errors: fault.NotFound if it is not there and may not be made,
// fault.InUse with Exclusive, fault.Denied, fault.Invalid for limits above the
// system's, fault.Exhausted where the system has no room for one more; the
// last two name the sysctl or limit to raise.
func Open(name string, c Config) (*Queue, error) {
	base, err := named("open queue", name)
	if err != nil {
		return nil, err
	}
	flags := map[Access]int{Both: unix.O_RDWR, ReceiveOnly: unix.O_RDONLY, SendOnly: unix.O_WRONLY}[c.Access]
	flags |= unix.O_NONBLOCK | unix.O_CLOEXEC
	if !c.Create {
		fd, err := mqOpen(base, flags, 0, nil)
		return opened(base, fd, openError(base, c, err))
	}
	want, err := c.limits()
	if err != nil {
		return nil, fault.New(fault.Invalid, "open queue", "/"+base, err)
	}
	for {
		fd, err := mqOpen(base, flags|unix.O_CREAT|unix.O_EXCL, c.mode(), want)
		if err == nil {
			if err := unix.Fchmod(fd, c.mode()); err != nil { // umask or not
				return nil, errors.Join(openError(base, c, err), unix.Close(fd), mqUnlink(base))
			}
		}
		if err != unix.EEXIST || c.Exclusive {
			return opened(base, fd, openError(base, c, err))
		}
		fd, err = mqOpen(base, flags, 0, nil)
		if err != unix.ENOENT { // else it has gone in between
			return opened(base, fd, openError(base, c, err))
		}
	}
}

func (c Config) mode() uint32 {
	if c.Mode == 0 {
		return 0o600
	}
	return uint32(c.Mode.Perm())
}

// limits is nil for the system's own.
func (c Config) limits() (*attr, error) {
	if c.MaxMessages < 0 || c.MessageSize < 0 {
		return nil, errors.New("a limit is negative")
	}
	if c.MaxMessages == 0 && c.MessageSize == 0 {
		return nil, nil
	}
	a := &attr{maxmsg: c.MaxMessages, msgsize: c.MessageSize}
	if a.maxmsg == 0 {
		a.maxmsg = min(sysctl("msg_default", 10), sysctl("msg_max", 10))
	}
	if a.msgsize == 0 {
		a.msgsize = min(sysctl("msgsize_default", 8192), sysctl("msgsize_max", 8192))
	}
	return a, nil
}

func opened(base string, fd int, err error) (*Queue, error) {
	if err != nil {
		return nil, err
	}
	a, err := mqAttributes(uintptr(fd))
	if err != nil {
		return nil, errors.Join(fault.Wrap("open queue", "/"+base, os.NewSyscallError("mq_getattr", err)), unix.Close(fd))
	}
	w, err := waitfd.New(uintptr(fd), "/"+base)
	if err != nil {
		return nil, errors.Join(fault.Wrap("open queue", "/"+base, err), unix.Close(fd))
	}
	q := &Queue{name: "/" + base, fd: w, size: a.msgsize}
	q.buffers.New = func() any { b := make([]byte, q.size); return &b }
	return q, nil
}

// Name is the queue's, with its leading slash.
func (q *Queue) Name() string { return q.name }

// MessageSize is how many bytes a message may have.
func (q *Queue) MessageSize() int { return q.size }

// Send appends a message behind those of its priority, and waits while the
// queue is full. data may be empty; more than MessageSize is fault.TooLarge.
func (q *Queue) Send(ctx context.Context, data []byte, priority uint32) error {
	if priority > MaxPriority {
		return fault.New(fault.Invalid, "send to queue", q.name, fmt.Errorf("priority %d is above %d", priority, MaxPriority))
	}
	var serr error
	err := q.fd.Write(ctx, func(fd uintptr) bool {
		serr = again(func() error { return mqSend(fd, data, priority) })
		return serr != unix.EAGAIN
	})
	if err != nil {
		return fault.Wrap("send to queue", q.name, err)
	}
	return q.failed("send to queue", "mq_send", serr, len(data))
}

// Receive takes the oldest message of the highest priority, and waits while
// there is none. p has MessageSize bytes at least, or it is fault.TooLarge.
func (q *Queue) Receive(ctx context.Context, p []byte) (n int, priority uint32, err error) {
	var rerr error
	err = q.fd.Read(ctx, func(fd uintptr) bool {
		rerr = again(func() (err error) { n, priority, err = mqReceive(fd, p); return err })
		return rerr != unix.EAGAIN
	})
	if err != nil {
		return 0, 0, fault.Wrap("receive from queue", q.name, err)
	}
	return n, priority, q.failed("receive from queue", "mq_receive", rerr, len(p))
}

// Next is Receive into memory of the message's own.
func (q *Queue) Next(ctx context.Context) (Message, error) {
	buf := q.buffers.Get().(*[]byte)
	defer q.buffers.Put(buf)
	n, priority, err := q.Receive(ctx, *buf)
	if err != nil {
		return Message{}, err
	}
	return Message{Data: append([]byte(nil), (*buf)[:n]...), Priority: priority}, nil
}

func again(do func() error) error {
	for {
		if err := do(); err != unix.EINTR {
			return err
		}
	}
}

func (q *Queue) failed(op, call string, err error, n int) error {
	switch err {
	case nil:
		return nil
	case unix.EMSGSIZE:
		return fault.New(fault.TooLarge, op, q.name, fmt.Errorf("%d bytes, and the queue's messages have up to %d", n, q.size))
	case unix.EBADF:
		return fault.New(fault.Denied, op, q.name, errors.New("it was not opened for that")).WithHint("see Config.Access")
	}
	return fault.Wrap(op, q.name, os.NewSyscallError(call, err))
}

// Attributes returns the queue's limits and how full it is now.
func (q *Queue) Attributes() (Attributes, error) {
	var a attr
	var aerr error
	err := q.fd.Control(func(fd uintptr) { a, aerr = mqAttributes(fd) })
	if err := errors.Join(err, os.NewSyscallError("mq_getattr", aerr)); err != nil {
		return Attributes{}, fault.Wrap("inspect queue", q.name, err)
	}
	return Attributes{MaxMessages: a.maxmsg, MessageSize: a.msgsize, Messages: a.curmsgs}, nil
}

// Close ends all waits on this Queue with fault.Closed. The queue and what is
// in it stay.
func (q *Queue) Close() error { return q.fd.Close() }

func unlink(base string) error {
	if err := mqUnlink(base); err != nil {
		return fault.Wrap("unlink queue", "/"+base, os.NewSyscallError("mq_unlink", err))
	}
	return nil
}
