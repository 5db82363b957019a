// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// lastWordTime bounds how long a failed Send looks for the peer's reason.
const lastWordTime = 100 * time.Millisecond

// addr names the connection in errors.
func (c *Conn) addr() string {
	if a := c.t.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" { // a socket without a name
		return a.String()
	}
	return c.Peer().String()
}

func (c *Conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

func (c *Conn) errClosed(op string) error {
	return fault.New(fault.Closed, op, c.addr(), nil)
}

func (c *Conn) ctxError(ctx context.Context, op string) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if !errors.Is(cause, err) {
		cause = fmt.Errorf("%w: %w", err, cause)
	}
	return fault.New(fault.KindOf(err), op, c.addr(), cause)
}

// gaveUp is why a lock was not acquired.
func (c *Conn) gaveUp(ctx context.Context, op string) error {
	if c.isClosed() {
		return c.errClosed(op)
	}
	return c.ctxError(ctx, op)
}

// fail wraps a transport's error; nil stays nil. A connection that was cut is
// io.ErrUnexpectedEOF, whatever the transport calls it.
func (c *Conn) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	kind := fault.KindOf(err)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) {
		kind = fault.PeerDied
	}
	if kind == fault.PeerDied && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	return fault.New(kind, op, c.addr(), err)
}

func (c *Conn) tooLarge(op string, n int) error {
	return fault.New(fault.TooLarge, op, c.addr(), fmt.Errorf("a message of %d bytes, at most %d are allowed", n, c.cfg.MaxSize)).
		WithHint("raise MaxSize on both sides, or send it in pieces")
}

// explain returns the peer's own reason instead of err, a failed write, if it
// gave one before it went.
func (c *Conn) explain(err error) error {
	if fault.KindOf(err) != fault.PeerDied {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWordTime)
	defer cancel()
	last := c.r.lastWord(ctx)
	var why *fault.Error
	if !errors.As(last, &why) || why.Kind == fault.PeerDied {
		return err
	}
	said := *why
	said.Op = "send"
	return &said
}
