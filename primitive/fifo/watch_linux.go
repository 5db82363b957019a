// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// Event is what a Watch waits for.
type Event uint32

// The events.
const (
	Opened       Event = unix.IN_OPEN          // an end was opened
	ReaderClosed Event = unix.IN_CLOSE_NOWRITE // a reading end was closed
	WriterClosed Event = unix.IN_CLOSE_WRITE   // a writing end was closed
	Changed      Event = unix.IN_ATTRIB        // its mode changed, or its name went or came to mean another file
)

// Watch tells when something happens to named pipes: look, wait, look again.
// Nothing that happens after Add is missed.
type Watch struct{ file *os.File }

// NewWatch makes one that watches nothing yet. Each takes one of the user's
// inotify instances.
func NewWatch() (*Watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		e := fault.New(fault.KindOf(err), "watch fifo", "", os.NewSyscallError("inotify_init1", err))
		if err == unix.EMFILE {
			e.Hint = "raise `ulimit -n` or the sysctl fs.inotify.max_user_instances"
		}
		return nil, e
	}
	return &Watch{os.NewFile(uintptr(fd), "inotify")}, nil
}

// Add watches f for events from now on.
func (w *Watch) Add(f *FIFO, events Event) error {
	name, err := f.proc()
	if err != nil {
		return fault.Wrap("watch fifo", f.path, err)
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return fault.Wrap("watch fifo", f.path, err)
	}
	var aerr error
	if err := raw.Control(func(fd uintptr) { _, aerr = unix.InotifyAddWatch(int(fd), name, uint32(events)) }); err != nil {
		return fault.Wrap("watch fifo", f.path, err)
	}
	return fault.Wrap("watch fifo", f.path, os.NewSyscallError("inotify_add_watch", aerr))
}

// Wait waits until something has happened since the last Wait, or ctx ends.
// It belongs to one goroutine at a time. After Close it is fault.Closed.
func (w *Watch) Wait(ctx context.Context) error {
	if err := w.file.SetReadDeadline(time.Time{}); err != nil {
		return fault.New(fault.Closed, "watch fifo", "", err) // the one thing that it can mean
	}
	stop := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := w.file.Read(make([]byte, 4096)) // what happened is for the caller to look up
	if err != nil && ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.Wrap("watch fifo", "", context.Cause(ctx))
	}
	return fault.Wrap("watch fifo", "", err)
}

// Close ends it, and a Wait with it.
func (w *Watch) Close() error { return w.file.Close() }
