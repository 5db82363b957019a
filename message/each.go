// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"encoding/binary"
)

// Each waits for the next message and calls f for it, and for those that have
// arrived with it, in their order: one wait and one lock for all of them, and
// no buffer for each. It returns how many there were. Its own errors are
// Receive's, and come alone; an error of f, whose message counts as received,
// ends it and is returned.
//
// The Message and its Bytes are f's until f returns, files and memory that f
// has not claimed included. f must neither receive from nor close the Conn.
func (c *Conn) Each(ctx context.Context, f func(*Message) error) (n int, err error) {
	if ended(ctx) || !c.r.acquire(ctx, c.closed) {
		return 0, c.gaveUp(ctx, "receive")
	}
	defer c.r.release()
	if !c.w.greeted.Load() && !c.w.greeted.Swap(true) {
		c.greet()
	}
	if n, err = c.r.eachLent(ctx, f); n > 0 {
		return n, err
	}
	c.r.many = true
	defer func() { c.r.many = false }()
	if c.r.hello && c.r.msg == nil && c.r.need(ctx, headerSize) == nil {
		if n, err = c.r.eachBuffered(f); n > 0 {
			return n, err
		}
	}
	m, err := c.r.next(ctx)
	if err != nil {
		return 0, err
	}
	err = f(m)
	m.Release()
	if err != nil {
		return 1, err
	}
	n, err = c.r.eachBuffered(f)
	return 1 + n, err
}

// eachBuffered calls f for the whole messages that are in the buffer.
func (r *reader) eachBuffered(f func(*Message) error) (n int, err error) {
	r.view.live = true
	for err == nil {
		p, ok := plainFrame(r.buf[r.off:], r.c.cfg.MaxSize)
		if !ok {
			break
		}
		r.off += headerSize + len(p)
		r.view.buf.b = p[:len(p):len(p)]
		err = f(&r.view)
		n++
	}
	r.view = Message{}
	return n, err
}

// plainFrame is the payload of the message that b begins with. It is false if
// b does not have all of it, or begins with anything else.
func plainFrame(b []byte, most int) ([]byte, bool) {
	if len(b) < headerSize {
		return nil, false
	}
	h := binary.LittleEndian.Uint64(b) // once: where it lies its writer may still change it
	n := int64(uint32(h))
	if h>>32 != uint64(kindMessage) || n > int64(min(most, len(b)-headerSize)) {
		return nil, false
	}
	return b[headerSize : headerSize+int(n)], true
}
