// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/loglines"
	"github.com/parley-ipc/parley/primitive/fdpass"
)

// settle ends the offer, once, and returns what it ended as. A taken stream
// reads from the socket from here on; a plain one loses the socket.
func (c *Conn) settle(s stage, why error) stage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage != offered {
		return c.stage
	}
	c.stage, c.offerErr = s, why
	if s == taken {
		_ = c.sock.SetReadDeadline(c.rdl)
		_ = c.stdout.SetReadDeadline(time.Unix(1, 0)) // frees a Read, which goes on to the socket
		return s
	}
	_ = c.sock.Close()
	close(c.decided)
	return s
}

// answerOffer waits for the child's TAKE and moves the stream. decided is
// closed only when both directions have moved.
func (c *Conn) answerOffer(limit time.Duration) {
	_ = c.sock.SetReadDeadline(time.Now().Add(limit))
	m, err := readMessage(c.sock)
	if err == nil {
		err = m.check(takeMagic, c.offer.nonce)
	}
	if err != nil {
		if c.settle(plain, err) == plain && !quiet(err) {
			c.logger.Warn("take-over refused", "address", c.addr.String(), "error", err)
		}
		return
	}
	if c.settle(taken, nil) != taken {
		return // stdout was used before; the child sees the socket closed
	}
	given := encode(givenMagic, c.offer.nonce)
	_, _ = c.sock.Write(given[:]) // into an empty buffer: it never waits; a dead child shows when we read
	c.moveWrites()
	c.logStray()
}

// quiet tells the ends of an offer that are nobody's mistake: the child did
// not want it, or we closed.
func quiet(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || fault.KindOf(err) == fault.Timeout
}

// moveWrites is one step under the lock, so that each deadline and each half
// close meets either stdin or the socket. Closing stdin frees a Write that
// waits on it, and tells the child where the pipe's bytes end.
func (c *Conn) moveWrites() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writesMove = true
	_ = c.sock.SetWriteDeadline(c.wdl)
	_ = c.stdin.Close()
	if c.halfClosed {
		_ = c.sock.CloseWrite()
	}
	close(c.decided)
}

// logStray keeps what the child prints on stdout out of the stream and its
// pipe from filling up.
func (c *Conn) logStray() {
	c.rmu.Lock() // the last Read has left
	err := c.stdout.SetReadDeadline(time.Time{})
	c.rmu.Unlock()
	if err == nil {
		loglines.Copy(c.stdout, c.logger, "stdout")
	}
}

// readMessage reads one message of the take-over and not a byte more. Files
// have no business there.
func readMessage(sock *net.UnixConn) (message, error) {
	var m message
	for n := 0; n < len(m); {
		k, files, err := fdpass.Read(sock, m[n:])
		for _, f := range files {
			_ = f.Close()
		}
		if len(files) > 0 {
			return m, errors.New("files came with the take-over message")
		}
		if err != nil {
			if n > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return m, err
		}
		n += k
	}
	return m, nil
}

// awaitTake is ?parley=true: the child must take the socket.
func (c *Conn) awaitTake(ctx context.Context) error {
	select {
	case <-c.decided:
	case <-c.kid.proc.Done():
		select { // it may have taken the socket before it ended
		case <-c.decided:
		case <-c.kid.reaped:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	if c.now() == taken {
		return nil
	}
	if ctx.Err() != nil {
		return fault.Wrap("dial", c.addr.String(), context.Cause(ctx))
	}
	e := fault.New(fault.Protocol, "dial", c.addr.String(), errors.New("the child did not take the descriptor in "+EnvFD))
	c.mu.Lock()
	why := c.offerErr
	c.mu.Unlock()
	switch {
	case c.kid.ending():
		if failure := c.kid.failure(nil); failure != nil {
			why = failure
		}
		fallthrough
	case why != nil && !quiet(why):
		e.Err = errors.Join(e.Err, why)
	}
	return e.WithHint("?parley=true is for children that speak Parley, such as `parley receive stdio:`; leave it out for a plain filter")
}
