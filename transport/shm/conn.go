// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one connection: over two rings, or, where either side had no memory
// for them, over its socket. It is safe for concurrent use.
//
// The end of an orderly peer is io.EOF, after everything it has written. A
// peer that ended without Close or CloseWrite is fault.PeerDied, after
// everything it had published, and that error is io.ErrUnexpectedEOF, too.
type Conn struct {
	link     link
	rings    bool
	peer     auth.Identity
	local    net.Addr
	remote   net.Addr
	counters *endpoint.Counters
	closed   sync.Once
}

// link is what moves the bytes.
type link interface {
	read(ctx context.Context, p []byte, take bool) (int, []*os.File, error) // without take files are closed
	write(ctx context.Context, p []byte) (int, error)
	writeFiles(p []byte, files []*os.File) (int, error)

	reserve(ctx context.Context, n int) ([]byte, error)
	commit(n int) error
	peek(ctx context.Context, n int) ([]byte, error)
	discard(n int) error
	maxLoan() int

	closeWrite() error
	close() error
	setReadDeadline(t time.Time) error
	setWriteDeadline(t time.Time) error
}

var (
	_ transport.Conn          = (*Conn)(nil)
	_ transport.Lender        = (*Conn)(nil)
	_ transport.FilePasser    = (*Conn)(nil)
	_ transport.ContextReader = (*Conn)(nil)
	_ transport.ContextWriter = (*Conn)(nil)

	_ transport.ContextFileReader = (*Conn)(nil)
)

// Peer implements transport.Conn.
func (c *Conn) Peer() auth.Identity { return c.peer }

// Rings reports whether the connection works on shared memory; if not, it
// found no memory for it and works on its socket.
func (c *Conn) Rings() bool { return c.rings }

// Counters count what happens on this connection, or on all of its listener.
// Bytes are added in batches.
func (c *Conn) Counters() *endpoint.Counters { return c.counters }

// Read implements net.Conn. Files that came with the bytes are closed.
func (c *Conn) Read(p []byte) (int, error) { return c.ReadContext(context.Background(), p) }

// ReadContext implements transport.ContextReader.
func (c *Conn) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, _, err := c.link.read(ctx, p, false)
	return n, err
}

// ReadFiles implements transport.FilePasser.
func (c *Conn) ReadFiles(p []byte) (int, []*os.File, error) {
	return c.link.read(context.Background(), p, true)
}

// ReadFilesContext implements transport.ContextFileReader.
func (c *Conn) ReadFilesContext(ctx context.Context, p []byte) (int, []*os.File, error) {
	return c.link.read(ctx, p, true)
}

// Write implements net.Conn. When it returns, the peer can read every byte.
func (c *Conn) Write(p []byte) (int, error) { return c.link.write(context.Background(), p) }

// WriteContext implements transport.ContextWriter.
func (c *Conn) WriteContext(ctx context.Context, p []byte) (int, error) {
	return c.link.write(ctx, p)
}

// WriteFiles implements transport.FilePasser.
func (c *Conn) WriteFiles(p []byte, files []*os.File) (int, error) {
	return c.link.writeFiles(p, files)
}

// Reserve implements transport.Lender.
func (c *Conn) Reserve(ctx context.Context, n int) ([]byte, error) { return c.link.reserve(ctx, n) }

// Commit implements transport.Lender.
func (c *Conn) Commit(n int) error { return c.link.commit(n) }

// Peek implements transport.Lender. A loan that is not empty, or came without
// an error, lasts until Discard; meanwhile Read waits.
func (c *Conn) Peek(ctx context.Context, n int) ([]byte, error) { return c.link.peek(ctx, n) }

// Discard implements transport.Lender.
func (c *Conn) Discard(n int) error { return c.link.discard(n) }

// MaxLoan implements transport.Lender: half the smaller ring.
func (c *Conn) MaxLoan() int { return c.link.maxLoan() }

// CloseWrite implements transport.Conn. A Write under way ends with an error.
func (c *Conn) CloseWrite() error { return c.link.closeWrite() }

// Close implements net.Conn. It is idempotent, and does not wait for loans:
// their memory goes when they are given back.
func (c *Conn) Close() error {
	err := c.link.close()
	c.closed.Do(func() { c.counters.Closed.Add(1) })
	return err
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.link.setReadDeadline(t); err != nil {
		return err
	}
	return c.link.setWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.link.setReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.link.setWriteDeadline(t) }
