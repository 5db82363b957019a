// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/internal/busypoll"
)

// errCut is the end of the socket's bytes without a close_notify before it.
// crypto/tls reads nothing more after a close_notify, so whoever meets the end
// of the socket was cut off.
type errCut struct{}

func (errCut) Error() string { return "the connection was cut" }
func (errCut) Unwrap() error { return io.ErrUnexpectedEOF }

const (
	maxLate  = 64 << 10    // of ciphertext kept for later
	lastWord = time.Second // for close_notify, where crypto/tls would take five
)

// rawConn is the socket as crypto/tls sees it, which differs from the socket
// in two things.
//
// Its end is errCut, because crypto/tls would take an io.EOF between two
// records for an orderly one.
//
// Once soft, a write that meets its deadline keeps the rest for later and
// succeeds: crypto/tls gives up a connection whose record went out in part,
// and a deadline should spoil nothing. Conn asks late what became of it.
type rawConn struct {
	*net.TCPConn
	poll busypoll.Socket

	soft     bool         // set between the handshake and the first use
	deadline atomic.Int64 // of writing, in ns since the epoch; 0: none

	mu      sync.Mutex // held while writing
	pending []byte     // guarded by mu: ciphertext not yet written
}

func (c *rawConn) Read(p []byte) (int, error) {
	n, err := c.poll.Read(c.TCPConn, p)
	if errors.Is(err, io.EOF) {
		err = errCut{}
	}
	return n, err
}

func (c *rawConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > 0 {
		if err := c.flush(); err != nil && !c.keep(p, err) {
			return 0, err
		} else if err != nil {
			return len(p), nil
		}
	}
	n, err := c.TCPConn.Write(p)
	if err != nil && c.keep(p[n:], err) {
		return len(p), nil
	}
	return n, err
}

// keep puts p off if err is a deadline's. It is called with mu held.
func (c *rawConn) keep(p []byte, err error) bool {
	if !c.soft || !errors.Is(err, os.ErrDeadlineExceeded) || len(c.pending)+len(p) > maxLate {
		return false
	}
	c.pending = append(c.pending, p...)
	return true
}

// flush writes what was put off. It is called with mu held.
func (c *rawConn) flush() error {
	n, err := c.TCPConn.Write(c.pending)
	c.pending = c.pending[n:]
	if len(c.pending) == 0 {
		c.pending = nil
	}
	return err
}

// late writes what was put off, and fails if that, or the deadline, has it
// that nothing can be written now.
func (c *rawConn) late() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > 0 {
		return c.flush()
	}
	if d := c.deadline.Load(); d != 0 && time.Now().UnixNano() >= d {
		return &net.OpError{Op: "write", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.ErrDeadlineExceeded}
	}
	return nil
}

// drain writes what was put off within d, whatever the program's deadline.
func (c *rawConn) drain(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil
	}
	err := c.TCPConn.SetWriteDeadline(time.Now().Add(d))
	if err == nil {
		err = c.flush()
	}
	var restored time.Time
	if ns := c.deadline.Load(); ns != 0 {
		restored = time.Unix(0, ns)
	}
	return errors.Join(err, c.TCPConn.SetWriteDeadline(restored))
}

// setWriteDeadline is the program's.
func (c *rawConn) setWriteDeadline(t time.Time) error {
	ns := int64(0)
	if !t.IsZero() {
		ns = max(t.UnixNano(), 1)
	}
	c.deadline.Store(ns)
	return c.TCPConn.SetWriteDeadline(t)
}

// SetWriteDeadline is crypto/tls's own, for close_notify.
func (c *rawConn) SetWriteDeadline(t time.Time) error {
	if end := time.Now().Add(lastWord); t.After(end) {
		t = end
	}
	return c.TCPConn.SetWriteDeadline(t)
}
