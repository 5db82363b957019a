// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/fault"
)

// lent is what lies in the transport's memory and begins with a whole message
// that came without files; nil if there is none, be it that the transport
// lends nothing: then the ordinary way goes on, and finds out what fails. Who
// gets bytes ends the loan by Discard.
func (r *reader) lent(ctx context.Context) []byte {
	c := r.c
	if !r.inPlace || !r.hello || r.msg != nil || r.err != nil || r.off != len(r.buf) || len(r.queue) > 0 {
		return nil
	}
	b := r.peek(ctx, headerSize)
	if b == nil {
		return nil
	}
	if _, ok := plainFrame(b, c.cfg.MaxSize); ok {
		return b
	}
	h, err := parseHeader(b)
	_ = c.lender.Discard(0) // nothing has been taken
	if size := headerSize + int64(h.length); err != nil || h.kind != kindMessage || h.files != 0 || size > int64(min(c.cfg.MaxSize, c.lender.MaxLoan())) {
		return nil
	}
	if b = r.peek(ctx, headerSize+int(h.length)); b == nil {
		return nil
	}
	if _, ok := plainFrame(b, c.cfg.MaxSize); !ok { // changed meanwhile: so much for trust
		_ = c.lender.Discard(0)
		return nil
	}
	return b
}

func (r *reader) peek(ctx context.Context, n int) []byte {
	b, err := r.c.lender.Peek(ctx, n)
	if err == nil {
		return b
	}
	if len(b) > 0 {
		_ = r.c.lender.Discard(0)
	}
	if errors.Is(err, fault.Unsupported) {
		r.inPlace = r.c.framer != nil && !r.c.framer.Frames() // then it may lend later
	}
	return nil
}

// nextLent receives one message in place; nil if there is none. The reader
// stays locked until it is released.
func (r *reader) nextLent(ctx context.Context) *Message {
	p, ok := plainFrame(r.lent(ctx), r.c.cfg.MaxSize)
	if !ok {
		return nil
	}
	return &Message{buf: buffer{p[:len(p):len(p)]}, loan: r.c, live: true}
}

// giveBack ends the loan of a message of n bytes that was received in place.
func (r *reader) giveBack(n int) {
	r.discard(headerSize + n)
	r.release()
}

func (r *reader) discard(n int) {
	if err := r.c.lender.Discard(n); err != nil && !errors.Is(err, fault.Closed) && r.err == nil {
		r.err = r.c.fail("receive", err)
	}
}

// eachLent calls f for the messages that lie whole in the transport's memory.
func (r *reader) eachLent(ctx context.Context, f func(*Message) error) (n int, err error) {
	b := r.lent(ctx)
	if b == nil {
		return 0, nil
	}
	done := 0
	defer func() {
		r.view = Message{}
		r.discard(done)
	}()
	r.view.live = true
	for err == nil {
		p, ok := plainFrame(b[done:], r.c.cfg.MaxSize)
		if !ok {
			break
		}
		done += headerSize + len(p)
		r.view.buf.b = p[:len(p):len(p)]
		err = f(&r.view)
		n++
	}
	return n, err
}
