// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"context"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/waitfd"
)

// File is what an End can be made of: an *os.File, a *net.UnixConn or a
// *net.TCPConn.
type File = waitfd.File

// End is one end of a pipe, or a socket or file to splice with, whose waits
// take a context each. All its methods may run at once; readers take turns,
// and so do writers.
type End struct {
	fd   *waitfd.FD
	name string
}

// Pipe makes an anonymous pipe, both ends in the poller and closed on exec.
// capacity is how many bytes it holds at least; 0 is the system's default,
// 64 KiB as a rule. See SetCapacity for the limit.
func Pipe(capacity int) (r, w *End, err error) {
	rf, wf, err := os.Pipe()
	if err != nil {
		return nil, nil, fault.Wrap("make pipe", "", err)
	}
	if capacity > 0 {
		if _, err := SetCapacity(wf, capacity); err != nil {
			_, _ = rf.Close(), wf.Close()
			return nil, nil, err
		}
	}
	if r, err = NewEnd(rf); err == nil {
		w, err = NewEnd(wf)
	}
	return r, w, err
}

// NewEnd takes f, such as what Reader and Writer return, and uses its
// deadlines from now on. One that cannot be polled, such as a regular file,
// does as the other end of a Splice.
func NewEnd(f File) (*End, error) {
	name := "socket"
	if f, ok := f.(*os.File); ok {
		name = f.Name()
	}
	fd, err := waitfd.Of(f)
	if err != nil {
		return nil, fault.Wrap("open fifo", name, err)
	}
	return &End{fd, name}, nil
}

// File is what the End was made of.
func (e *End) File() File { return e.fd.File() }

// Close ends all waits with fault.Closed.
func (e *End) Close() error { return e.fd.Close() }

// Read reads what is there, and waits for something first. When the last
// writer has gone it is io.EOF.
func (e *End) Read(ctx context.Context, p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	var rerr error
	err = e.fd.Read(ctx, func(fd uintptr) bool {
		n, rerr = again(func() (int, error) { return unix.Read(int(fd), p) })
		return rerr != unix.EAGAIN
	})
	switch {
	case err != nil:
		return 0, fault.Wrap("read from pipe", e.name, err)
	case rerr != nil:
		return 0, fault.Wrap("read from pipe", e.name, os.NewSyscallError("read", rerr))
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes all of p, and waits while the pipe is full. Up to 4096 bytes
// are written as one, also beside other processes; a longer write that ctx
// ends may have written a part, whose length it returns. Without a reader it
// is fault.PeerDied.
func (e *End) Write(ctx context.Context, p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	var werr error
	err = e.fd.Write(ctx, func(fd uintptr) bool {
		for n < len(p) {
			var got int
			if got, werr = again(func() (int, error) { return unix.Write(int(fd), p[n:]) }); werr != nil {
				return werr != unix.EAGAIN
			}
			n += got
		}
		return true
	})
	if err != nil {
		return n, fault.Wrap("write to pipe", e.name, err)
	}
	return n, fault.Wrap("write to pipe", e.name, os.NewSyscallError("write", werr))
}

func again(do func() (int, error)) (int, error) {
	for {
		if n, err := do(); err != unix.EINTR {
			return n, err
		}
	}
}

// Splice moves up to n bytes from src to dst, one of which is a pipe at least,
// without bringing them into the program: what is there, once something is,
// and as much as fits. It is io.EOF at src's end. The bytes are taken from src
// only when they are in dst.
func Splice(ctx context.Context, dst, src *End, n int) (int, error) {
	return src.join(ctx, "splice", dst, n, splice)
}

// Tee gives dst, a pipe, the same bytes that src, another pipe, holds, up to
// n, and leaves them in src. The caller then takes as many from src, with
// Splice or Read: until then a next Tee gives them again.
func Tee(ctx context.Context, dst, src *End, n int) (int, error) {
	return src.join(ctx, "tee", dst, n, tee)
}

func (e *End) join(ctx context.Context, op string, dst *End, n int, call func(r, w uintptr, n int) (int, error)) (int, error) {
	from := waits{e.fd.Control, func(try func(uintptr) bool) error { return e.fd.Read(ctx, try) }}
	to := waits{dst.fd.Control, func(try func(uintptr) bool) error { return dst.fd.Write(ctx, try) }}
	moved, err := join(to, from, n, call)
	if err == io.EOF {
		return 0, err
	}
	return moved, fault.Wrap(op, e.name+" to "+dst.name, err)
}

// SpliceRaw is Splice between descriptors that are somebody else's: it waits
// as their own deadlines and Close say. Descriptors that are not in the poller
// hold the thread while it waits.
func SpliceRaw(dst, src syscall.RawConn, n int) (int, error) {
	return join(waits{dst.Control, dst.Write}, waits{src.Control, src.Read}, n, splice)
}
