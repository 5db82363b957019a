// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"os"
	"runtime"
	"time"

	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
)

// The reader's role. One goroutine at a time reads the connection: a caller
// that waits for its own answer, or the poller. Whoever leaves the role while
// others wait, or while the peer may call us, gives it to the poller; if
// nobody waits it lies vacant for the next caller, and the minder looks after
// it: within a few milliseconds without one the poller takes it.
//
//	          take                         leave, nobody waits
//	vacant ─────────▶ held by a caller ───────────────────────▶ vacant
//	   │ minder, or a writer that must wait      │ others wait
//	   └───────────────▶ held by the poller ◀────┘
//
// The holder never waits for room to write, for a stream's queue or for a
// handler that takes long.

const mindEvery = time.Millisecond

func (c *conn) takeRole() bool {
	if c.role.Load() != 0 || !c.role.CompareAndSwap(0, 1) {
		return false
	}
	c.takes.Add(1)
	return true
}

func (c *conn) leaveRole() {
	c.role.Store(0)
	if c.ended.Load() {
		c.letGo()
	}
	if c.waiters.Load() > 0 || c.serves != nil {
		c.someoneReads()
		return
	}
	if !c.minding.Load() && c.minding.CompareAndSwap(false, true) {
		c.minder.Reset(mindEvery)
	}
}

// someoneReads gives a vacant role to a goroutine of its own.
func (c *conn) someoneReads() {
	if c.role.Load() == 0 && c.crew.enlist() {
		if c.takeRole() {
			go c.hold()
			return
		}
		c.crew.discharge()
	}
}

// mind is the minder's timer.
func (c *conn) mind() {
	if c.ended.Load() {
		return
	}
	if seen := c.takes.Load(); seen != c.minded.Swap(seen) {
		c.minder.Reset(mindEvery) // it is being taken again and again
		return
	}
	c.minding.Store(false)
	c.someoneReads()
}

// hold is the poller: it reads until nobody waits for it, or until the role has
// been handed on.
func (c *conn) hold() {
	for delivered := 0; ; {
		c.heardOf = 0
		mine, err := c.dispatchAll(nil)
		if !mine {
			return
		}
		if err == nil && c.serves == nil {
			delivered += c.heardOf
			if delivered > 0 && c.heardOf < several && c.waiters.Load() == 0 {
				c.leaveRole()
				c.crew.discharge()
				return
			}
		}
		if c.heardOf > 0 {
			c.yield()
		}
		if err == nil && delivered > 0 && c.serves == nil && c.waiters.Load() == 0 {
			c.leaveRole() // none of several came back
			c.crew.discharge()
			return
		}
		if err == nil {
			err = c.fill(context.Background())
		}
		if err != nil {
			c.fail(err)
			c.giveBack()
			c.closeFiles()
			c.crew.discharge()
			return
		}
	}
}

// several answers at once are reason to wait for who asks next: callers that
// are many are better served by one who reads for all of them.
const several = 2

// yield lets those go first whom we have woken, for they must not wait while
// we spin. What they have to send meanwhile goes out together.
func (c *conn) yield() {
	gathers := c.heardOf >= several && c.w.gather()
	runtime.Gosched()
	if gathers {
		c.w.gathered()
	}
}

// fill reads at least one byte. The caller holds the role. On a context's end
// nothing is lost.
func (c *conn) fill(ctx context.Context) error {
	if c.landing.to != nil {
		return c.fillLanding(ctx)
	}
	if c.lender != nil && c.borrow(ctx) {
		return c.filled(1, nil)
	}
	if c.r > 0 {
		c.n = copy(c.in, c.in[c.r:c.n])
		c.r = 0
	}
	if c.n == len(c.in) || c.brimful && len(c.in) < flowBuffer {
		bigger := make([]byte, min(4*len(c.in), wholeBuffer))
		copy(bigger, c.in[:c.n])
		c.in = bigger
	}
	room := c.in[c.n:]
	if c.sip && c.n == 0 {
		room = room[:rpcwire.HeadSize]
	}
	n, err := c.read(ctx, room)
	c.n += n
	c.brimful = c.n == len(c.in)
	c.sip = c.sip && n == 0
	return c.filled(n, err)
}

// filled is what fill returns after a read.
func (c *conn) filled(n int, err error) error {
	if n > 0 && (err == nil || !errors.Is(err, errFiles)) { // else it comes again
		c.heard.Add(1)
		return nil
	}
	return err
}

// filesReader is a transport whose Read takes a context and keeps files.
type filesReader interface {
	ReadFilesContext(ctx context.Context, p []byte) (int, []*os.File, error)
}

func (c *conn) read(ctx context.Context, p []byte) (int, error) {
	c.clock = time.Time{}
	if t, ok := c.t.(filesReader); ok {
		n, files, err := t.ReadFilesContext(ctx, p)
		return n, errors.Join(err, c.keepFiles(files))
	}
	return c.readKicked(ctx, p)
}

func (c *conn) readOnce(p []byte) (int, error) {
	if t, ok := c.t.(transport.FilePasser); ok && c.serves != nil {
		n, files, err := t.ReadFiles(p)
		return n, errors.Join(err, c.keepFiles(files))
	}
	return c.t.Read(p)
}

// readKicked is read where only a deadline ends a Read.
func (c *conn) readKicked(ctx context.Context, p []byte) (int, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		stop := func() bool { return true }
		if ctx.Done() != nil {
			stop = context.AfterFunc(ctx, func() { _ = c.t.SetReadDeadline(time.Unix(1, 0)) })
		}
		n, err := c.readOnce(p)
		stop()
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		// A kick, maybe a late one for an earlier holder: see for whom.
		_ = c.t.SetReadDeadline(time.Time{})
	}
}
