// SPDX-License-Identifier: Apache-2.0

package fdpass

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// Reader reads a socket's bytes with their files, without allocating where no
// files come. Its methods may run at once, and beside the socket's own Read.
type Reader struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // attempt, allocated once

	mu             sync.Mutex
	p              []byte // guarded by mu, as what follows
	receipt        receipt
	n, oobn, flags int
	err            error
}

// NewReader returns a Reader of c, which stays the caller's.
func NewReader(c *net.UnixConn) (*Reader, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &Reader{raw: raw}
	r.try = r.attempt
	return r, nil
}

// attempt reports whether the read is done: it found something, or failed.
func (r *Reader) attempt(fd uintptr) bool {
	r.n, r.oobn, r.flags, r.err = r.receipt.recvmsg(fd, r.p)
	return r.err != unix.EAGAIN
}

// Read reads into p and returns the files that came with those bytes, each
// close-on-exec. The kernel never lets one read span two groups of files. A
// peer that sends more than Max at once, or whose files do not fit our
// descriptor table, gets them closed and the reader an error.
//
// The open file description behind each one is shared with the peer, who can
// change its offset and flags: do not wait on it without a deadline of your own.
func (r *Reader) Read(p []byte) (int, []*os.File, error) {
	if len(p) == 0 {
		return 0, nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p = p
	err := r.raw.Read(r.try)
	r.p = nil
	switch {
	case err != nil:
		return 0, nil, err
	case r.err != nil:
		return 0, nil, os.NewSyscallError("recvmsg", r.err)
	case r.oobn > 0 || r.flags&unix.MSG_CTRUNC != 0:
		return r.files()
	case r.n == 0:
		return 0, nil, io.EOF
	}
	return r.n, nil, nil
}

// files takes in what came beside the bytes.
func (r *Reader) files() (int, []*os.File, error) {
	files, err := parse(r.receipt.oob[:r.oobn])
	if r.flags&unix.MSG_CTRUNC != 0 {
		closeAll(files)
		return r.n, nil, fault.New(fault.Exhausted, "receive files", "", errors.New("some files did not arrive: more than 64 at once, or our descriptor table is full")).
			WithHint("raise `ulimit -n`, or send fewer at once")
	}
	return r.n, files, err
}

// Read is Reader.Read, once.
func Read(c *net.UnixConn, p []byte) (int, []*os.File, error) {
	r, err := NewReader(c)
	if err != nil {
		return 0, nil, err
	}
	return r.Read(p)
}
