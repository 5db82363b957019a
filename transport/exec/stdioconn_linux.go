// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fdpass"
	"github.com/parley-ipc/parley/transport"
)

// stdioConn is the child's side. With a socket, stdin is read to its end first,
// for what the parent wrote before it saw the take, and stdout is not used.
type stdioConn struct {
	peer    auth.Identity
	in, out inherited     // out has no file if there is a socket
	sock    *net.UnixConn // nil: plain pipes

	wmu sync.Mutex // one Write at a time

	mu         sync.Mutex // guards what follows
	drained    bool       // stdin has ended; the socket goes on
	halfClosed bool
	done       bool
	closed     chan struct{}
	closeErr   error
}

var _ transport.FilePasser = (*stdioConn)(nil)

func newStdio(stdin, stdout int, sock *net.UnixConn) (*stdioConn, error) {
	peer, err := identify(stdin, stdout, sock)
	if err != nil {
		return nil, err
	}
	c := &stdioConn{peer: peer, sock: sock, closed: make(chan struct{})}
	if c.in, err = inherit(stdin, os.O_RDONLY); err != nil {
		return nil, err
	}
	if sock == nil {
		if c.out, err = inherit(stdout, os.O_WRONLY); err != nil {
			return nil, errors.Join(err, c.in.close())
		}
	}
	return c, nil
}

// Peer implements transport.Conn.
func (c *stdioConn) Peer() auth.Identity { return c.peer }

// LocalAddr implements net.Conn.
func (c *stdioConn) LocalAddr() net.Addr { return stdioAddress.Addr() }

// RemoteAddr implements net.Conn.
func (c *stdioConn) RemoteAddr() net.Addr { return stdioAddress.Addr() }

// Read implements net.Conn. Files that come with the bytes are closed.
func (c *stdioConn) Read(p []byte) (int, error) {
	if n, more, err := c.readPipe(p); !more {
		return n, c.wrap("read", err)
	}
	n, err := c.sock.Read(p)
	return n, c.wrap("read", err)
}

// ReadFiles implements transport.FilePasser. Over plain pipes it is Read.
func (c *stdioConn) ReadFiles(p []byte) (int, []*os.File, error) {
	if n, more, err := c.readPipe(p); !more {
		return n, nil, c.wrap("read", err)
	}
	n, files, err := fdpass.Read(c.sock, p)
	return n, files, c.wrap("read", err)
}

// readPipe reads stdin; more says that it has ended and the socket goes on.
func (c *stdioConn) readPipe(p []byte) (n int, more bool, err error) {
	if c.isDrained() {
		return 0, true, nil
	}
	n, err = c.in.file.Read(p)
	if err != io.EOF || c.sock == nil {
		return n, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained = true
	return 0, true, nil
}

func (c *stdioConn) isDrained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drained
}

// Write implements net.Conn.
func (c *stdioConn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if err := c.mayWrite(); err != nil {
		return 0, err
	}
	if c.sock != nil {
		n, err := c.sock.Write(p)
		return n, c.wrap("write", err)
	}
	n, err := c.out.file.Write(p)
	return n, c.wrap("write", err)
}

// WriteFiles implements transport.FilePasser; over plain pipes it is
// fault.Unsupported.
func (c *stdioConn) WriteFiles(p []byte, files []*os.File) (int, error) {
	if len(files) == 0 {
		return c.Write(p)
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if err := c.mayWrite(); err != nil {
		return 0, err
	}
	if c.sock == nil {
		return 0, fault.New(fault.Unsupported, "write files", "stdio:", errors.New("plain pipes carry no files")).
			WithHint("start this program with exec: from a program that uses Parley")
	}
	n, err := fdpass.Write(c.sock, p, files)
	return n, c.wrap("write", err)
}

func (c *stdioConn) mayWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halfClosed || c.done {
		return fault.New(fault.Closed, "write", "stdio:", nil)
	}
	return nil
}

// CloseWrite implements transport.Conn.
func (c *stdioConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halfClosed || c.done {
		return nil
	}
	c.halfClosed = true
	if c.sock == nil {
		return c.out.close()
	}
	if err := c.sock.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) {
		return err
	}
	return nil
}

// Close implements net.Conn. It is idempotent.
func (c *stdioConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return c.closeErr
	}
	c.done = true
	close(c.closed)
	errs := []error{c.in.close()}
	if c.sock != nil {
		errs = append(errs, c.sock.Close())
	} else if !c.halfClosed {
		errs = append(errs, c.out.close())
	}
	c.closeErr = errors.Join(errs...)
	return c.closeErr
}

// SetDeadline implements net.Conn.
func (c *stdioConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *stdioConn) SetReadDeadline(t time.Time) error {
	err := deadlineError(stdioAddress, c.in.file.SetReadDeadline(t))
	if c.sock != nil && err == nil {
		err = deadlineError(stdioAddress, c.sock.SetReadDeadline(t))
	}
	return err
}

// SetWriteDeadline implements net.Conn.
func (c *stdioConn) SetWriteDeadline(t time.Time) error {
	if c.sock != nil {
		return deadlineError(stdioAddress, c.sock.SetWriteDeadline(t))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.out.file.SetWriteDeadline(t); !c.halfClosed || c.done {
		return deadlineError(stdioAddress, err)
	}
	return nil
}

func (c *stdioConn) wrap(op string, err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, os.ErrClosed), errors.Is(err, net.ErrClosed):
		return fault.New(fault.Closed, op, "stdio:", nil)
	}
	return fault.Wrap(op, "stdio:", err)
}
