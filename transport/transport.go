// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/wake"
)

// Conn is a two-way byte stream to one peer, whose identity was established
// before its first byte. Like any net.Conn it may be used from many goroutines
// at once; a Write is not interleaved with another.
type Conn interface {
	net.Conn

	// Peer says who is on the other side. It never changes.
	Peer() auth.Identity

	// CloseWrite ends our direction: the peer reads what was written, then
	// io.EOF. Reading goes on. It is idempotent.
	CloseWrite() error
}

// Listener accepts connections that policy has let in. Its Accept returns a
// Conn too, as a net.Conn.
type Listener interface {
	net.Listener

	// AcceptConn waits for the next connection until ctx ends or the listener
	// is closed, when it returns an error that is net.ErrClosed.
	AcceptConn(ctx context.Context) (Conn, error)

	// Address is what a peer on this machine dials, ports filled in.
	Address() endpoint.Address
}

// Lender is a Conn that lends its own memory, so that bytes are written and
// read in place. Reserve and Commit exclude Write between them, Peek and
// Discard exclude Read; each pair belongs to one goroutine at a time.
type Lender interface {
	Conn

	// Reserve waits until n contiguous bytes can be written and lends them.
	// The slice is ours until Commit. n is at most MaxLoan.
	Reserve(ctx context.Context, n int) ([]byte, error)

	// Commit publishes the first n of the reserved bytes and ends the loan;
	// 0 gives it back unused.
	Commit(n int) error

	// Peek waits until at least n contiguous bytes can be read and lends all
	// that can. The peer may change them under the reader's eyes, so Peek
	// answers fault.Unsupported unless the program declared the peer Trusted.
	// At the end of the stream it returns what is left, with io.EOF if that is
	// fewer than n.
	Peek(ctx context.Context, n int) ([]byte, error)

	// Discard marks the first n peeked bytes as read and ends the loan.
	Discard(n int) error

	// MaxLoan is the largest n for Reserve and Peek, in bytes.
	MaxLoan() int
}

// Framer is a Conn that moves whole frames of its stream in one step: a length
// of 32 bits, a tag of 32 bits, both little-endian, and so many bytes. Whatever
// the step cannot do, be it for the frame's size, is left to the ordinary methods, which say what is wrong;
// frames, bytes and loans can be mixed at will.
//
// Each method takes a flag and looks at it when the frame's turn has come:
// while it is false nothing is moved. So who clears it and then uses ordinary
// methods, piece by piece, has no frame between the pieces. Nil is always true.
type Framer interface {
	Conn

	// WriteFrame waits until there is room for the frame and writes all of it.
	// False: nothing was written.
	WriteFrame(ctx context.Context, open *atomic.Bool, tag uint32, p []byte) bool

	// WriteFrames writes a frame for each of ps with no other write between
	// them, and returns how many it has written.
	WriteFrames(ctx context.Context, open *atomic.Bool, tag uint32, ps [][]byte) int

	// ReadFrame waits for the next frame, of at most most bytes, copies its
	// bytes to p and returns how many there are. If p is too short for them
	// nothing has been read. False: nothing was read, be it that what comes
	// next has another tag, is larger, or came with files.
	ReadFrame(ctx context.Context, open *atomic.Bool, tag uint32, most int, p []byte) (int, bool)

	// Frames says whether frames are moved, both ways, and reading a few bytes
	// costs no system call. It may become true, and stays so.
	Frames() bool
}

// Spin says whether a side that waits may burn its processor before it sleeps.
type Spin = wake.Mode

// The values of Spin.
const (
	SpinAuto   = wake.Auto   // while it has lately paid, and the machine has room for it
	SpinOff    = wake.Off    // never
	SpinAlways = wake.Always // whatever it costs, for processors of one's own
)

// Spinner is a Conn over a socket whose reads can look for bytes for a while
// before they sleep. They do not by themselves, as Go's sockets do not; rpc
// and message ask for it, since two sides that wake each other for each
// message spend most of their time on that.
type Spinner interface {
	Conn

	// SetSpin says how reads wait from now on. After SpinOff they sleep at
	// once for good, whoever asks for what. SpinAlways looks for a millisecond
	// at a time.
	SetSpin(Spin)
}

// MaxFiles is the largest number of files that one WriteFiles may carry.
const MaxFiles = 64

// FilePasser is a Conn that carries open files with its bytes.
type FilePasser interface {
	Conn

	// WriteFiles is Write with files attached to the first byte of p, which
	// must not be empty. The peer gets duplicates; the caller keeps its own
	// and may close them as soon as WriteFiles has returned.
	WriteFiles(p []byte, files []*os.File) (int, error)

	// ReadFiles is Read, and returns the files that came with the bytes it
	// read: at most one group, with the bytes among which the group's first
	// byte is, and none of the next group. Bytes that were written before a
	// group may come together with it. A plain Read closes the files that it
	// passes over. The caller owns what is returned.
	ReadFiles(p []byte) (n int, files []*os.File, err error)
}

// ContextReader is a Conn whose waits take a context directly, without a
// timer or a deadline. Cancellation takes no bytes.
type ContextReader interface {
	ReadContext(ctx context.Context, p []byte) (int, error)
}

// ContextFileReader is the same for a FilePasser's ReadFiles.
type ContextFileReader interface {
	ReadFilesContext(ctx context.Context, p []byte) (n int, files []*os.File, err error)
}

// ContextWriter is the same for writing. A cancelled write may have written
// a part, whose length it returns.
type ContextWriter interface {
	WriteContext(ctx context.Context, p []byte) (int, error)
}

// Splicer is a Conn that is descriptors and nothing else, between which the
// kernel can move bytes by itself. Whoever moves some says how many, so that
// they are counted. What is lent stays the Conn's: Close and deadlines end
// waits on it.
type Splicer interface {
	Conn

	// ReadRaw lends the descriptor that is read from. ok is false while bytes
	// wait that only Read gives. Files that come along are lost.
	ReadRaw() (raw syscall.RawConn, count func(n int), ok bool)

	// WriteRaw lends the descriptor that is written to.
	WriteRaw() (raw syscall.RawConn, count func(n int), ok bool)
}
