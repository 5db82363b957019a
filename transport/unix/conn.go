// SPDX-License-Identifier: Apache-2.0

package unix

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/busypoll"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/fdpass"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one connection over a unix socket. It does not embed the socket, so
// that nothing passes by its counters.
type Conn struct {
	sock     *net.UnixConn
	peer     auth.Identity
	counters *endpoint.Counters // of the listener; nil on the dialling side
	files    func() (*fdpass.Reader, error)
	poll     busypoll.Socket

	closeOnce sync.Once
	closeErr  error
}

var (
	_ transport.Conn       = (*Conn)(nil)
	_ transport.FilePasser = (*Conn)(nil)
	_ transport.Spinner    = (*Conn)(nil)
)

// NewConn makes a Conn of a connected socket, whose owner it becomes. peer is
// who the caller knows to be on the other side.
func NewConn(sock *net.UnixConn, peer auth.Identity) *Conn {
	return &Conn{sock: sock, peer: peer, files: sync.OnceValues(func() (*fdpass.Reader, error) { return fdpass.NewReader(sock) })}
}

// Peer implements transport.Conn.
func (c *Conn) Peer() auth.Identity { return c.peer }

// PeerPidfd returns a pidfd of the peer, free of pid reuse, where the kernel
// has SO_PEERPIDFD (Linux 6.5). The caller closes it.
func (c *Conn) PeerPidfd() (*os.File, error) { return unixconn.PeerPidfd(c.sock) }

// Read implements net.Conn. Files that come with the bytes are closed.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.poll.Read(c.sock, p)
	c.countIn(n, 0)
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.sock.Write(p)
	c.countOut(n, 0)
	return n, err
}

// ReadFiles implements transport.FilePasser.
func (c *Conn) ReadFiles(p []byte) (int, []*os.File, error) {
	r, err := c.files()
	if err != nil {
		return 0, nil, err
	}
	sleep := c.poll.Await()
	n, files, err := r.Read(p)
	sleep.End()
	c.countIn(n, len(files))
	return n, files, err
}

// WriteFiles implements transport.FilePasser.
func (c *Conn) WriteFiles(p []byte, files []*os.File) (int, error) {
	n, err := fdpass.Write(c.sock, p, files)
	if n > 0 {
		c.countOut(n, len(files))
	}
	return n, err
}

func (c *Conn) countIn(n, files int) {
	if c.counters == nil {
		return
	}
	c.counters.BytesIn.Add(uint64(n))
	if files > 0 {
		c.counters.FilesIn.Add(uint64(files))
	}
}

func (c *Conn) countOut(n, files int) {
	if c.counters == nil {
		return
	}
	c.counters.BytesOut.Add(uint64(n))
	if files > 0 {
		c.counters.FilesOut.Add(uint64(files))
	}
}

// SetSpin implements transport.Spinner.
func (c *Conn) SetSpin(s transport.Spin) { c.poll.Set(c.sock, s) }

// CloseWrite implements transport.Conn.
func (c *Conn) CloseWrite() error {
	if err := c.sock.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) {
		return err
	}
	return nil // the peer has gone: there is nobody left to tell
}

// Close implements net.Conn. It is idempotent.
func (c *Conn) Close() error {
	c.closeOnce.Do(func() {
		c.closeErr = c.sock.Close()
		if c.counters != nil {
			c.counters.Closed.Add(1)
		}
	})
	return c.closeErr
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.sock.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.sock.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.sock.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.sock.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.sock.SetWriteDeadline(t) }
