// SPDX-License-Identifier: Apache-2.0

package waitfd

import (
	"context"
	"os"
	"syscall"
	"time"
)

// File is what can be waited on: an *os.File in the poller, a *net.TCPConn, a
// *net.UnixConn. Its deadlines are used.
type File interface {
	syscall.Conn
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	Close() error
}

// FD owns a descriptor. All its methods may run at once. Waiters of one
// direction take turns: only the first sits in the poller, and none of them
// holds a thread.
type FD struct {
	file           File
	raw            syscall.RawConn
	reading, write chan struct{} // full while somebody has the turn
}

// New takes a descriptor, which must be non-blocking and of a kind that can be
// polled, with an open file description that nobody else has.
func New(fd uintptr, name string) (*FD, error) { return Of(os.NewFile(fd, name)) }

// Of takes a file that is in the poller already, and owns it from now on.
func Of(f File) (*FD, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &FD{file: f, raw: raw, reading: make(chan struct{}, 1), write: make(chan struct{}, 1)}, nil
}

// File is the file, for what needs no waiting.
func (d *FD) File() File { return d.file }

// Close ends all waits with os.ErrClosed.
func (d *FD) Close() error { return d.file.Close() }

// Control lends the descriptor for a call that does not wait.
func (d *FD) Control(do func(fd uintptr)) error {
	if d.raw.Control(do) != nil {
		return os.ErrClosed // the only way that it fails
	}
	return nil
}

// Read calls try, each time that the descriptor has become readable, until try
// reports that it is done; it is called once at least. Nobody else's Read runs
// in between. It ends with ctx's cause or os.ErrClosed.
func (d *FD) Read(ctx context.Context, try func(fd uintptr) (done bool)) error {
	return d.turn(ctx, d.reading, try, d.raw.Read, d.file.SetReadDeadline)
}

// Write is Read for becoming writable.
func (d *FD) Write(ctx context.Context, try func(fd uintptr) (done bool)) error {
	return d.turn(ctx, d.write, try, d.raw.Write, d.file.SetWriteDeadline)
}

func (d *FD) turn(ctx context.Context, turns chan struct{}, try func(uintptr) bool,
	wait func(func(uintptr) bool) error, deadline func(time.Time) error,
) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case turns <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-turns }()
	done := false
	if err := d.Control(func(fd uintptr) { done = try(fd) }); err != nil || done {
		return err
	}
	return parked(ctx, try, wait, deadline)
}

// parked waits in the poller, which knows deadlines and no contexts.
func parked(ctx context.Context, try func(uintptr) bool, wait func(func(uintptr) bool) error, deadline func(time.Time) error) error {
	if err := deadline(time.Time{}); err != nil {
		return err
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = deadline(time.Unix(1, 0))
	})
	err := wait(try)
	if !stop() {
		<-fired // or it would end the next one's wait
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return os.ErrClosed
}
