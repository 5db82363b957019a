// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
)

// callStats tells stats handlers of one call. A nil one tells nobody.
type callStats struct {
	handlers []stats.Handler
	ctx      context.Context // with what the handlers hung on it
	client   bool
	begun    time.Time
	half     bool                       // no End, as no Begin
	headed   atomic.Bool                // the answer's header has been told of
	header   func() metadata.MD         // of the answer
	trailer  func() (metadata.MD, bool) // of the answer, if it has come or gone
}

// beginStats tags ctx and tells of the beginning of a call of ours. There are
// handlers: else a call need not come here.
func beginStats(ctx context.Context, handlers []stats.Handler, method string, wait bool, b stats.Begin) (context.Context, *callStats) {
	ctx, c := tagStats(ctx, handlers, &stats.RPCTagInfo{FullMethodName: method, FailFast: !wait})
	c.client = true
	b.Client, b.BeginTime, b.FailFast = true, c.begun, !wait
	c.tell(&b)
	return ctx, c
}

// serveStats is the same for a call of the peer's: like grpc-go's, the handlers
// hear of its header first.
func (s *serverStream) serveStats(b stats.Begin) context.Context {
	handlers := s.c.serves.stats
	if len(handlers) == 0 {
		return s
	}
	var ctx context.Context
	ctx, s.stats = tagStats(s, handlers, &stats.RPCTagInfo{FullMethodName: s.m.full})
	s.tellOpening()
	begun := b // a copy, so that b costs nothing where nobody listens
	begun.BeginTime = s.stats.begun
	s.stats.tell(&begun)
	return ctx
}

// halfServeStats is the same for a call to an unknown method: like grpc-go's,
// the handlers hear of its header and trailer only, and not at all of a name
// that is none.
func (s *serverStream) halfServeStats() {
	if handlers := s.c.serves.stats; len(handlers) > 0 && s.m.service != malformed {
		_, s.stats = tagStats(s, handlers, &stats.RPCTagInfo{FullMethodName: s.m.full})
		s.stats.half = true
		s.tellOpening()
	}
}

func tagStats(ctx context.Context, handlers []stats.Handler, info *stats.RPCTagInfo) (context.Context, *callStats) {
	for _, h := range handlers {
		ctx = h.TagRPC(ctx, info)
	}
	return ctx, &callStats{handlers: handlers, ctx: ctx, begun: time.Now()}
}

// headerLen is what grpc-go counts as a message's own header.
const headerLen = 5

func (c *callStats) tell(s stats.RPCStats) {
	for _, h := range c.handlers {
		h.HandleRPC(c.ctx, s)
	}
}

// head tells once of the answer's header.
func (c *callStats) head() {
	if c == nil || !c.headed.CompareAndSwap(false, true) {
		return
	}
	if c.client {
		c.tell(&stats.InHeader{Client: true, Header: c.header()})
	} else {
		c.tell(&stats.OutHeader{Header: c.header()})
	}
}

// sent tells of a message of n bytes that went as packed ones.
func (c *callStats) sent(v any, n, packed int) {
	if c != nil {
		if !c.client {
			c.head()
		}
		c.tell(&stats.OutPayload{Client: c.client, Payload: v, Length: n, CompressedLength: packed, WireLength: packed + headerLen, SentTime: time.Now()})
	}
}

// got tells of a message that has come and been parsed.
func (c *callStats) got(v any, m *message) {
	if c != nil {
		if c.client {
			c.head()
		}
		n, packed := m.sizes()
		c.tell(&stats.InPayload{Client: c.client, Payload: v, Length: n, CompressedLength: packed, WireLength: packed + headerLen, RecvTime: time.Now()})
	}
}

func (c *callStats) end(err error) {
	if c == nil {
		return
	}
	var t metadata.MD
	if c.trailer != nil {
		var there bool
		switch t, there = c.trailer(); {
		case there && c.client:
			c.tell(&stats.InTrailer{Client: true, Trailer: t})
		case there:
			c.tell(&stats.OutTrailer{Trailer: t})
		}
	}
	if c.half {
		return
	}
	c.tell(&stats.End{Client: c.client, BeginTime: c.begun, EndTime: time.Now(), Error: err, Trailer: t})
}

// tellOpening tells of the header that goes with a call of ours, whose answer
// they will be told of.
func (s *clientStream) tellOpening(method string) {
	st, c := s.stats, s.c
	if st == nil {
		return
	}
	st.header = s.headerMD
	st.trailer = func() (metadata.MD, bool) {
		s.in.mu.Lock()
		defer s.in.mu.Unlock()
		return toMD(s.trailer), s.heardClose
	}
	md, _ := metadata.FromOutgoingContext(s.ctx)
	st.tell(&stats.OutHeader{
		Client: true, FullMethod: method, RemoteAddr: c.peer.Addr, LocalAddr: c.peer.LocalAddr,
		Compression: s.opts.encoding, Header: md,
	})
}

// tellOpening tells of the header that came with the peer's call.
func (s *serverStream) tellOpening() {
	st := s.stats
	st.header = func() metadata.MD {
		s.hmu.Lock()
		defer s.hmu.Unlock()
		return s.header.Copy()
	}
	st.trailer = func() (metadata.MD, bool) {
		s.hmu.Lock()
		defer s.hmu.Unlock()
		return s.trailer.Copy(), true
	}
	st.tell(&stats.InHeader{
		FullMethod: s.m.full, RemoteAddr: s.peer.Addr, LocalAddr: s.peer.LocalAddr,
		Compression: s.encoding, Header: s.incoming(),
	})
}

// tagConn tells handlers of a new connection. What they hang on ctx comes back,
// and who tells them of its end.
func tagConn(ctx context.Context, handlers []stats.Handler, client bool, p *peer.Peer) (tagged context.Context, end func()) {
	for _, h := range handlers {
		ctx = h.TagConn(ctx, &stats.ConnTagInfo{RemoteAddr: p.Addr, LocalAddr: p.LocalAddr})
	}
	for _, h := range handlers {
		h.HandleConn(ctx, &stats.ConnBegin{Client: client})
	}
	return ctx, func() {
		for _, h := range handlers {
			h.HandleConn(ctx, &stats.ConnEnd{Client: client})
		}
	}
}
