// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// Reservation is memory for one message to be written in place. It belongs to
// one goroutine and ends with Commit or Cancel, one of which must be called.
type Reservation struct {
	c    *Conn
	p    []byte  // what the caller fills; nil once it has ended
	loan []byte  // the transport's memory around p; nil if it lends none
	buf  *buffer // else where p comes from
	lead int     // of loan: bytes of our preface before the header
}

// Reserve returns room for a message of up to n bytes. Where the transport is
// a transport.Lender the room is the transport's own memory: then others'
// Sends wait until Commit or Cancel, so fill it at once. Elsewhere, and where
// n exceeds what the transport lends, it is a pooled buffer.
func (c *Conn) Reserve(ctx context.Context, n int) (*Reservation, error) {
	if n < 0 {
		return nil, fault.New(fault.Invalid, "reserve", c.addr(), fmt.Errorf("%d bytes", n))
	}
	if n > c.cfg.MaxSize {
		return nil, c.tooLarge("reserve", n)
	}
	if ended(ctx) || c.isClosed() {
		return nil, c.gaveUp(ctx, "reserve")
	}
	if c.lender != nil && n+headerSize+prefaceSize <= c.lender.MaxLoan() {
		return c.borrow(ctx, n)
	}
	buf := getBuffer(n)
	return &Reservation{c: c, p: buf.b, buf: buf}, nil
}

// borrow keeps the writer's lock for as long as the loan.
func (c *Conn) borrow(ctx context.Context, n int) (*Reservation, error) {
	if !c.w.lock.acquire(ctx, c.closed) {
		return nil, c.gaveUp(ctx, "reserve")
	}
	loan, lead, err := c.w.borrow(ctx, n)
	if err != nil {
		c.w.lock.release()
		return nil, c.explain(err)
	}
	return &Reservation{c: c, p: loan[lead+headerSize:], loan: loan, lead: lead}, nil
}

func (w *writer) borrow(ctx context.Context, n int) (loan []byte, lead int, err error) {
	if w.err != nil {
		return nil, 0, w.err
	}
	if !w.whole {
		lead = prefaceSize
	}
	w.watch.release()
	loan, err = w.c.lender.Reserve(ctx, lead+headerSize+n)
	if err != nil {
		return nil, 0, w.failed(ctx, false, err)
	}
	return loan[:lead+headerSize+n], lead, nil
}

// Bytes is the room. It is not the caller's any more after Commit or Cancel.
func (r *Reservation) Bytes() []byte { return r.p }

// Commit sends the first n bytes of the room as one message. Its errors are
// Send's.
func (r *Reservation) Commit(ctx context.Context, n int) error {
	if r.p == nil || n < 0 || n > len(r.p) {
		return fault.New(fault.Invalid, "commit", r.c.addr(), fmt.Errorf("%d bytes of a reservation of %d", n, len(r.p)))
	}
	p := r.p[:n]
	r.p = nil
	if r.buf != nil {
		defer putBuffer(r.buf)
		return r.c.Send(ctx, p)
	}
	w := &r.c.w
	err := w.commit(r, n)
	w.lock.release()
	if err != nil {
		return r.c.explain(err)
	}
	return nil
}

func (w *writer) commit(r *Reservation, n int) error {
	if r.lead > 0 {
		appendPreface(r.loan[:0])
	}
	appendHeader(r.loan[:r.lead], header{length: uint32(n), kind: kindMessage})
	if err := w.c.lender.Commit(r.lead + headerSize + n); err != nil {
		return w.failed(context.Background(), true, err)
	}
	if !w.whole {
		w.greeted.Store(true)
		w.whole = true
		w.reopen()
	}
	return nil
}

// Cancel gives the room back and sends nothing. After Commit or Cancel it does
// nothing.
func (r *Reservation) Cancel() {
	if r.p == nil {
		return
	}
	r.p = nil
	if r.buf != nil {
		putBuffer(r.buf)
		return
	}
	if err := r.c.lender.Commit(0); err != nil && !errors.Is(err, fault.Closed) && r.c.w.err == nil {
		r.c.w.err = r.c.fail("send", err)
	}
	r.c.w.lock.release()
}
