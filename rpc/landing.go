// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"encoding/binary"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// landing is the frame that is coming when it is a large part of a message: it
// is read straight to where its message is put together, past the reader's
// buffer. It belongs to the reader's holder and outlives him: who is called
// off leaves it half read.
type landing struct {
	h    rpcwire.Head
	to   []byte // nil: none is coming
	have int
}

const (
	worthLanding = 16 << 10 // bytes of a frame that have not come

	// What a peer may make us reserve for a message that has only begun: so
	// many times what has come of it, but no more than that.
	foresight   = 128
	mostForeign = 16 * rpcwire.MaxPart
)

// land makes the frame h the one that lands if it is worth it. Its head lies
// at c.r, and what has come of it is all that follows.
func (c *conn) land(h rpcwire.Head) {
	n := int(h.Length)
	got := c.in[c.r+rpcwire.HeadSize : c.n]
	if h.Kind != rpcwire.Message || h.Flags&rpcwire.FlagMessage == 0 || n-len(got) < worthLanding || n > rpcwire.MaxPart+4 {
		return
	}
	in := c.inboxOf(h.Stream)
	if in == nil {
		return
	}
	in.mu.Lock()
	to := in.berth(h.Flags, n, got)
	in.mu.Unlock()
	if to == nil {
		return
	}
	c.landing = landing{h: h, to: to, have: copy(to, got)}
	c.r, c.n = 0, 0
}

func (c *conn) inboxOf(id uint32) *inbox {
	if id&1 == c.side() {
		if s := c.find(id); s != nil {
			return &s.in
		}
	} else if s := c.served(id); s != nil {
		return s.in
	}
	return nil
}

// fillLanding is fill while a frame lands.
func (c *conn) fillLanding(ctx context.Context) error {
	l := &c.landing
	n, err := c.read(ctx, l.to[l.have:])
	l.have += n
	return c.filled(n, err)
}

// landed handles the frame that has landed, if it has.
func (c *conn) landed() (mine bool, err error) {
	l := c.landing
	if l.have < len(l.to) {
		return true, nil
	}
	c.landing = landing{}
	c.sip = l.h.Flags&rpcwire.FlagPart != 0
	return c.dispatch(l.h, l.to)
}

// berth lends the place for the payload of a frame of n bytes, of which got has
// come; nil if it is none that add would simply append. The caller holds mu,
// and gives it to add when it is full.
func (in *inbox) berth(flags uint8, n int, got []byte) []byte {
	if in.gone || in.ended || in.skip || in.fail != nil || in.window < cost(n) {
		return nil
	}
	if in.need > 0 {
		return in.extend(n)
	}
	size := n
	if flags&rpcwire.FlagPart != 0 {
		if len(got) < 4 {
			return nil
		}
		size = int(binary.LittleEndian.Uint32(got))
		if size < n-4 || size > in.max {
			return nil
		}
		size = max(4+min(size, foresight*len(got), mostForeign), n)
	} else if n > in.max {
		return nil
	}
	in.quay = pool.Get(size)
	return (*in.quay)[:n]
}

// extend makes room for n bytes more of the message that is coming, and lends
// it.
func (in *inbox) extend(n int) []byte {
	all := len(in.part) + n
	if all > in.need {
		return nil
	}
	if all > cap(in.part) {
		in.move(pool.Get(min(in.need, 16*all)))
	}
	return in.part[len(in.part):all]
}

// move puts what has come of a message into another buffer.
func (in *inbox) move(to *[]byte) {
	part := (*to)[:copy(*to, in.part)]
	if in.pooled != nil {
		pool.Put(in.pooled)
	}
	in.part, in.pooled = part, to
}

// lies says that b lies where what follows a would.
func lies(b, a []byte) bool {
	return len(b) > 0 && len(a)+len(b) <= cap(a) && &a[:len(a)+1][len(a)] == &b[0]
}
