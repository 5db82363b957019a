// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one connection: over two rings, or, before it has them or where
// either side had no memory for them, over its socket. It is safe for
// concurrent use.
//
// The end of an orderly peer is io.EOF, after everything it has written. A
// peer that ended without Close or CloseWrite is fault.PeerDied, after
// everything it had published, and that error is io.ErrUnexpectedEOF, too.
type Conn struct {
	directions
	plain    *plain  // nil if the rings were attached in the handshake
	whole    *stream // then they are all there is
	peer     auth.Identity
	local    net.Addr
	remote   net.Addr
	counters *endpoint.Counters
	closed   sync.Once
}

// directions are the two ways of a connection, each of which is nil as long
// as it goes over the socket. Each moves at most once.
type directions struct{ in, out atomic.Pointer[stream] }

var (
	_ transport.Conn          = (*Conn)(nil)
	_ transport.Lender        = (*Conn)(nil)
	_ transport.Framer        = (*Conn)(nil)
	_ transport.FilePasser    = (*Conn)(nil)
	_ transport.ContextReader = (*Conn)(nil)
	_ transport.ContextWriter = (*Conn)(nil)

	_ transport.ContextFileReader = (*Conn)(nil)
)

// Peer implements transport.Conn.
func (c *Conn) Peer() auth.Identity { return c.peer }

// Rings reports whether the connection works on shared memory, both ways; if
// not, it works on its socket: there has not been the traffic that is worth
// rings, or no memory for them.
func (c *Conn) Rings() bool { return c.out.Load() != nil && c.in.Load() != nil }

// Counters count what happens on this connection, or on all of its listener.
// Bytes are added in batches.
func (c *Conn) Counters() *endpoint.Counters { return c.counters }

// Read implements net.Conn. Files that came with the bytes are closed.
func (c *Conn) Read(p []byte) (int, error) { return c.ReadContext(context.Background(), p) }

// ReadContext implements transport.ContextReader.
func (c *Conn) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, _, err := c.read(ctx, p, false)
	return n, err
}

// ReadFiles implements transport.FilePasser.
func (c *Conn) ReadFiles(p []byte) (int, []*os.File, error) {
	return c.read(context.Background(), p, true)
}

// ReadFilesContext implements transport.ContextFileReader.
func (c *Conn) ReadFilesContext(ctx context.Context, p []byte) (int, []*os.File, error) {
	return c.read(ctx, p, true)
}

// read closes files unless they are to be taken.
func (c *Conn) read(ctx context.Context, p []byte, take bool) (int, []*os.File, error) {
	if s := c.in.Load(); s != nil {
		return s.read(ctx, p, take)
	}
	return c.plain.read(ctx, p, take)
}

// Write implements net.Conn. When it returns, the peer can read every byte.
func (c *Conn) Write(p []byte) (int, error) { return c.WriteContext(context.Background(), p) }

// WriteContext implements transport.ContextWriter.
func (c *Conn) WriteContext(ctx context.Context, p []byte) (int, error) {
	if s := c.out.Load(); s != nil {
		return s.write(ctx, p)
	}
	return c.plain.write(ctx, p)
}

// WriteFiles implements transport.FilePasser.
func (c *Conn) WriteFiles(p []byte, files []*os.File) (int, error) {
	if s := c.out.Load(); s != nil {
		return s.writeFiles(p, files)
	}
	return c.plain.writeFiles(p, files)
}

// Reserve implements transport.Lender. Before the rings are attached it lends
// memory of our own.
func (c *Conn) Reserve(ctx context.Context, n int) ([]byte, error) {
	if s := c.out.Load(); s != nil {
		return s.reserve(ctx, n)
	}
	return c.plain.reserve(ctx, n)
}

// Commit implements transport.Lender.
func (c *Conn) Commit(n int) error {
	if s := c.out.Load(); s != nil {
		return s.commit(n)
	}
	return c.plain.commit(n)
}

// Peek implements transport.Lender. A loan that is not empty, or came without
// an error, lasts until Discard; meanwhile Read waits. It works on rings alone.
func (c *Conn) Peek(ctx context.Context, n int) ([]byte, error) {
	if s := c.in.Load(); s != nil {
		return s.peek(ctx, n)
	}
	return c.plain.peek(ctx, n)
}

// Discard implements transport.Lender.
func (c *Conn) Discard(n int) error {
	if s := c.in.Load(); s != nil {
		return s.discard(n)
	}
	return c.plain.discard(n)
}

// MaxLoan implements transport.Lender: half the smaller ring, and less before
// there are rings.
func (c *Conn) MaxLoan() int {
	if s := c.out.Load(); s != nil {
		return s.maxLoan()
	}
	return c.plain.maxLoan()
}

// CloseWrite implements transport.Conn. A Write under way ends with an error.
func (c *Conn) CloseWrite() error {
	if s := c.out.Load(); s != nil {
		return s.closeWrite()
	}
	return c.plain.closeWrite()
}

// Close implements net.Conn. It is idempotent, and does not wait for loans:
// their memory goes when they are given back.
func (c *Conn) Close() error {
	defer c.closed.Do(func() { c.counters.Closed.Add(1) })
	if c.plain != nil {
		return c.plain.close()
	}
	return c.whole.close()
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.plain != nil {
		return c.plain.setReadDeadline(t)
	}
	return c.whole.setReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.plain != nil {
		return c.plain.setWriteDeadline(t)
	}
	return c.whole.setWriteDeadline(t)
}
