// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/loglines"
	"github.com/parley-ipc/parley/primitive/fdpass"
)

// Read implements net.Conn. At the end of the child's output it returns io.EOF
// if the child goes on or ended with status 0, else an error that tells how it
// ended. Files that come with the bytes are closed.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if c.now() == taken {
			n, err := c.sock.Read(p)
			return n, c.readError(err)
		}
		if n, moved, err := c.readStdout(p); !moved {
			return n, c.readError(err)
		}
	}
}

// ReadFiles implements transport.FilePasser. Over the pipes it is Read.
func (c *Conn) ReadFiles(p []byte) (int, []*os.File, error) {
	for {
		if c.now() == taken {
			n, files, err := fdpass.Read(c.sock, p)
			return n, files, c.readError(err)
		}
		if n, moved, err := c.readStdout(p); !moved {
			return n, nil, c.readError(err)
		}
	}
}

func (c *Conn) now() stage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stage
}

// readStdout reads while the stream runs over the pipes. The first bytes that
// it reads, and the end, settle that the child will not take the socket; if
// the child was quicker, they are a stray print.
func (c *Conn) readStdout(p []byte) (n int, moved bool, err error) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if c.now() == taken {
		return 0, true, nil
	}
	n, err = c.stdout.Read(p)
	switch {
	case n > 0 || err == io.EOF:
		if c.settle(plain, nil) == taken {
			if n > 0 {
				c.logger.Info("child says", "stream", "stdout", "line", string(p[:min(n, loglines.MaxLine)]))
			}
			return 0, true, nil
		}
	case err != nil && c.now() == taken: // the take interrupted us
		return 0, true, nil
	}
	return n, false, err
}

func (c *Conn) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case c.isClosed():
		return fault.New(fault.Closed, "read", c.addr.String(), nil)
	case err == io.EOF, errors.Is(err, syscall.ECONNRESET):
		if c.kid.ending() {
			switch failure := c.kid.failure(c.rtimer.done()); {
			case errors.Is(failure, os.ErrDeadlineExceeded):
				return fault.Wrap("read", c.addr.String(), failure)
			case failure != nil:
				return fault.New(fault.PeerDied, "read", c.addr.String(), failure)
			}
			return io.EOF
		}
		if err == io.EOF {
			return io.EOF
		}
	}
	return fault.Wrap("read", c.addr.String(), err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	done := 0
	for {
		moved, err := c.mayWrite()
		if err != nil {
			return done, err
		}
		if moved {
			n, err := c.sock.Write(p[done:])
			return done + n, c.writeError(err)
		}
		n, err := c.stdin.Write(p[done:])
		done += n
		if err == nil {
			return done, nil
		}
		// The take closes stdin under a Write: what is left goes on to the socket.
		if moved, _ := c.mayWrite(); !moved {
			return done, c.writeError(err)
		}
	}
}

func (c *Conn) mayWrite() (moved bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halfClosed || c.isClosed() {
		return false, fault.New(fault.Closed, "write", c.addr.String(), nil)
	}
	return c.writesMove, nil
}

// WriteFiles implements transport.FilePasser. While the offer is open it waits
// for the child to take the socket; over the pipes it is fault.Unsupported.
func (c *Conn) WriteFiles(p []byte, files []*os.File) (int, error) {
	if len(files) == 0 {
		return c.Write(p)
	}
	select {
	case <-c.decided:
	case <-c.wtimer.done():
		return 0, c.writeError(os.ErrDeadlineExceeded)
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	moved, err := c.mayWrite()
	if err != nil {
		return 0, err
	}
	if !moved {
		return 0, fault.New(fault.Unsupported, "write files", c.addr.String(), errors.New("the child talks over plain pipes, which carry no files")).
			WithHint("the child must take the descriptor in PARLEY_FD, as `parley … stdio:` does; ?parley=true makes sure of it")
	}
	n, err := fdpass.Write(c.sock, p, files)
	return n, c.writeError(err)
}

func (c *Conn) writeError(err error) error {
	switch {
	case err == nil:
		return nil
	case c.isClosed(), errors.Is(err, os.ErrClosed):
		return fault.New(fault.Closed, "write", c.addr.String(), nil)
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		if c.kid.ending() {
			switch failure := c.kid.failure(c.wtimer.done()); {
			case errors.Is(failure, os.ErrDeadlineExceeded):
				return fault.Wrap("write", c.addr.String(), failure)
			case failure != nil:
				return fault.New(fault.PeerDied, "write", c.addr.String(), failure)
			}
		}
		return fault.New(fault.PeerDied, "write", c.addr.String(), err)
	}
	return fault.Wrap("write", c.addr.String(), err)
}
