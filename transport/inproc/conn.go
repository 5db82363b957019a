// SPDX-License-Identifier: Apache-2.0

package inproc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one side of a connection within the process.
type Conn struct {
	in, out  *stream
	addr     endpoint.Address
	peer     auth.Identity
	counters *endpoint.Counters // of the listener; nil on the dialling side

	readBy, writeBy deadline
	closed          atomic.Bool
	done            chan struct{} // closed by Close
	closeOnce       sync.Once
}

var (
	_ transport.FilePasser    = (*Conn)(nil)
	_ transport.ContextReader = (*Conn)(nil)
	_ transport.ContextWriter = (*Conn)(nil)
)

// Pipe returns both sides of a connection that has no listener.
func Pipe() (*Conn, *Conn) {
	return newPair(endpoint.Address{Scheme: endpoint.Inproc, Name: "pipe"})
}

func newPair(addr endpoint.Address) (near, far *Conn) {
	a, b := new(stream), new(stream)
	self := auth.Self()
	return &Conn{in: a, out: b, addr: addr, peer: self, done: make(chan struct{})},
		&Conn{in: b, out: a, addr: addr, peer: self, done: make(chan struct{})}
}

// Peer implements transport.Conn: it is this process.
func (c *Conn) Peer() auth.Identity { return c.peer }

// Read implements net.Conn. Files that come with the bytes are closed.
func (c *Conn) Read(p []byte) (int, error) {
	n, files, err := c.receive(context.Background(), p, false)
	closeFiles(files)
	return n, err
}

// ReadContext implements transport.ContextReader.
func (c *Conn) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, files, err := c.receive(ctx, p, false)
	closeFiles(files)
	return n, err
}

// ReadFiles implements transport.FilePasser.
func (c *Conn) ReadFiles(p []byte) (int, []*os.File, error) {
	n, files, err := c.receive(context.Background(), p, true)
	if c.counters != nil {
		c.counters.FilesIn.Add(uint64(len(files)))
	}
	return n, files, err
}

// ReadFilesContext is ReadFiles with a context.
func (c *Conn) ReadFilesContext(ctx context.Context, p []byte) (int, []*os.File, error) {
	n, files, err := c.receive(ctx, p, true)
	if c.counters != nil {
		c.counters.FilesIn.Add(uint64(len(files)))
	}
	return n, files, err
}

func (c *Conn) receive(ctx context.Context, p []byte, wantFiles bool) (int, []*os.File, error) {
	for {
		changed := c.in.wait()
		if err := c.mayGoOn(ctx, &c.readBy, "read"); err != nil {
			return 0, nil, err
		}
		n, files, err := c.in.take(p, wantFiles)
		if !errors.Is(err, errBlocked) {
			if c.counters != nil {
				c.counters.BytesIn.Add(uint64(n))
			}
			return n, files, c.word("read", err)
		}
		c.pause(ctx, &c.readBy, changed)
	}
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) { return c.send(context.Background(), p, nil) }

// WriteContext implements transport.ContextWriter.
func (c *Conn) WriteContext(ctx context.Context, p []byte) (int, error) { return c.send(ctx, p, nil) }

// WriteFiles implements transport.FilePasser.
func (c *Conn) WriteFiles(p []byte, files []*os.File) (int, error) {
	switch {
	case len(p) == 0:
		return 0, fault.New(fault.Invalid, "write files", c.addr.String(), errors.New("files need at least one byte to come with"))
	case len(files) > transport.MaxFiles:
		return 0, fault.New(fault.TooLarge, "write files", c.addr.String(), errors.New("more than 64 files at once"))
	}
	copies, err := duplicate(files)
	if err != nil {
		return 0, fault.Wrap("write files", c.addr.String(), err)
	}
	n, err := c.send(context.Background(), p, copies)
	if n == 0 {
		closeFiles(copies)
	} else if c.counters != nil {
		c.counters.FilesOut.Add(uint64(len(files)))
	}
	return n, err
}

func (c *Conn) send(ctx context.Context, p []byte, files []*os.File) (total int, err error) {
	c.out.writing.Lock()
	defer c.out.writing.Unlock()
	for {
		changed := c.out.wait()
		if err := c.mayGoOn(ctx, &c.writeBy, "write"); err != nil {
			return total, err
		}
		n, err := c.out.put(p[total:], files)
		total += n
		if n > 0 {
			files = nil
			if c.counters != nil {
				c.counters.BytesOut.Add(uint64(n))
			}
		}
		switch {
		case errors.Is(err, errBlocked):
			c.pause(ctx, &c.writeBy, changed)
		case err != nil || total == len(p):
			return total, c.word("write", err)
		}
	}
}

// mayGoOn says why not: closed, past the deadline, or the context's end.
func (c *Conn) mayGoOn(ctx context.Context, by *deadline, op string) error {
	switch {
	case c.closed.Load():
		return fault.New(fault.Closed, op, c.addr.String(), nil)
	case by.passed():
		return fault.New(fault.Timeout, op, c.addr.String(), os.ErrDeadlineExceeded)
	case ctx.Err() != nil:
		return fault.Wrap(op, c.addr.String(), context.Cause(ctx))
	}
	return nil
}

// pause waits for anything that may let a wait go on or end it.
func (c *Conn) pause(ctx context.Context, by *deadline, changed <-chan struct{}) {
	select {
	case <-changed:
	case <-by.wait():
	case <-ctx.Done():
	case <-c.done:
	}
}

// word turns a stream's answer into the caller's.
func (c *Conn) word(op string, err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case errors.Is(err, errNoPeer):
		return fault.New(fault.PeerDied, op, c.addr.String(), io.ErrClosedPipe)
	}
	return fault.New(fault.Closed, op, c.addr.String(), err)
}

// CloseWrite implements transport.Conn.
func (c *Conn) CloseWrite() error {
	if c.closed.Load() {
		return fault.New(fault.Closed, "close write", c.addr.String(), nil)
	}
	c.out.end()
	return nil
}

// Close implements net.Conn. It is idempotent.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.closed.Store(true)
		close(c.done)
		c.out.end()
		c.in.desert()
		c.readBy.set(time.Time{}) // stops the timers
		c.writeBy.set(time.Time{})
		if c.counters != nil {
			c.counters.Closed.Add(1)
		}
	})
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.addr.Addr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.addr.Addr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.readBy, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.writeBy, t) }

func (c *Conn) setDeadline(d *deadline, t time.Time) error {
	if c.closed.Load() {
		return fault.New(fault.Closed, "set deadline", c.addr.String(), nil)
	}
	d.set(t)
	return nil
}
