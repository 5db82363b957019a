// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/runtime/protoimpl"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// readLender is a transport that lends what has come, because the program has
// declared its peer Trusted.
type readLender interface {
	PeekPlain(ctx context.Context, n int) ([]byte, bool)
	Discard(n int) error
}

// borrow makes in what the transport lends, with the frame at r whole, and says
// whether there is any. If not, the frame is read as ever. The caller holds the
// role.
//
// The loan stays when the role lies vacant, as what is left in a buffer of our
// own would, and ends with the next read, with handOn, or with the connection.
func (c *conn) borrow(ctx context.Context) bool {
	want := rpcwire.HeadSize
	if c.lent {
		if c.n-c.r >= want {
			if h, err := c.head(); err == nil { // else it has been changed: to be seen again
				want += int(h.Length)
			}
		}
		c.giveBack()
	} else if c.r < c.n {
		return false
	}
	b, ok := c.lender.PeekPlain(ctx, want)
	if !ok {
		return false
	}
	c.shelf, c.lent = c.in, true
	c.in = b[:min(len(b), max(want, flowBuffer))] // the rest later: the peer wants its room
	c.r, c.n = 0, len(c.in)
	c.clock = time.Time{}
	return true
}

// giveBack ends the loan, if there is one. The caller holds the role.
func (c *conn) giveBack() {
	if !c.lent {
		return
	}
	_ = c.lender.Discard(c.r) // its error is the next read's
	c.in, c.shelf, c.lent = c.shelf, nil, false
	c.r, c.n = 0, 0
}

// letGo ends the loan of a connection that has ended, unless somebody holds the
// role, who will. Nobody takes it any more.
func (c *conn) letGo() {
	if c.lender != nil && c.serves == nil && c.takeRole() {
		c.giveBack()
	}
}

// head parses the head at r, of which it takes a copy: a peer that we read in
// place may change it.
func (c *conn) head() (rpcwire.Head, error) {
	var b [rpcwire.HeadSize]byte
	copy(b[:], c.in[c.r:])
	return rpcwire.ParseHead(b[:])
}

// private returns p where the peer cannot change it, until the next frame.
// Messages stay where they are, as nothing is judged by what is in them; so do
// large frames that end with one, which parseOpening and parseClosing know.
func (c *conn) private(h rpcwire.Head, p []byte) []byte {
	switch {
	case !c.lent || h.Kind == rpcwire.Message:
		return p
	case len(p) > small && (h.Kind == rpcwire.Open || h.Kind == rpcwire.Close):
		return p
	}
	c.scratch = append(c.scratch[:0], p...)
	return c.scratch
}

// parseOpening is rpcwire.ParseOpening of what private returned.
func (c *conn) parseOpening(flags uint8, p []byte) (rpcwire.Opening, error) {
	r, err := rpcwire.ParseOpening(flags, p)
	if err != nil || !c.lent || len(p) <= small {
		return r, err
	}
	rest := r.Rest
	c.scratch = append(c.scratch[:0], p[:len(p)-len(rest)]...)
	if r, err = rpcwire.ParseOpening(flags, c.scratch); err == nil && len(r.Rest) > 0 {
		err = rpcwire.ErrFrame // changed meanwhile
	}
	r.Rest = rest
	return r, err
}

// parseClosing is rpcwire.ParseClosing of what private returned.
func (c *conn) parseClosing(flags uint8, p []byte) (rpcwire.Closing, error) {
	r, err := rpcwire.ParseClosing(flags, p)
	if err != nil || !c.lent || len(p) <= small {
		return r, err
	}
	rest := r.Rest
	c.scratch = append(c.scratch[:0], p[:len(p)-len(rest)]...)
	if r, err = rpcwire.ParseClosing(flags, c.scratch); err == nil && len(r.Rest) > 0 {
		err = rpcwire.ErrFrame
	}
	r.Rest = rest
	return r, err
}

// pledge notes that m, the request of a handler about to run inline, lies in
// what the reader has borrowed. Who hands the role on takes a copy of it first,
// and waits while it is being parsed. The caller holds the role.
func (s *serverStream) pledge(m *message) {
	if s.c.lent && m.pooled == nil && len(m.b) > 0 {
		s.pledged = m
	}
}

// redeem takes the copy. The caller has handed the role on, and not yet the
// loan.
func (s *serverStream) redeem() {
	if s.pledged == nil {
		return
	}
	s.c.pledges.Lock()
	defer s.c.pledges.Unlock()
	s.pledged.own()
}

// parse is decode for the request.
func (s *serverStream) parse(m *message, v any) error {
	if s.pledged == nil {
		return s.decode(m, v)
	}
	s.c.pledges.Lock()
	if p, ok := plainProto(s.codec, v); ok && !m.compressed && s.stats == nil && generated(p) {
		defer s.c.pledges.Unlock()
		return s.decode(m, v)
	}
	m.own() // the program's own code may do anything, such as to wait
	s.c.pledges.Unlock()
	return s.decode(m, v)
}

// freeRequest is free for the request.
func (s *serverStream) freeRequest(m *message) {
	if s.pledged != nil {
		s.c.pledges.Lock()
		defer s.c.pledges.Unlock()
	}
	m.free()
}

// generated says that p is parsed by protobuf's own code alone.
func generated(p proto.Message) bool {
	_, ok := p.ProtoReflect().(interface{ ProtoMessageInfo() *protoimpl.MessageInfo })
	return ok
}
