// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
)

// callStats tells stats handlers of one call. A nil one tells nobody.
type callStats struct {
	handlers []stats.Handler
	ctxs     []context.Context
	client   bool
	begun    time.Time
	trailer  func() metadata.MD
}

// beginStats tags ctx and tells of the call's beginning.
func beginStats(ctx context.Context, handlers []stats.Handler, client bool, method string, wait bool, b stats.Begin) (context.Context, *callStats) {
	if len(handlers) == 0 {
		return ctx, nil
	}
	c := &callStats{handlers: handlers, client: client, begun: time.Now()}
	for _, h := range handlers {
		ctx = h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: method, FailFast: !wait})
	}
	b.Client, b.BeginTime, b.FailFast = client, c.begun, !wait
	c.ctxs = append(c.ctxs, ctx)
	c.tell(&b)
	return ctx, c
}

func (c *callStats) tell(s stats.RPCStats) {
	for _, h := range c.handlers {
		h.HandleRPC(c.ctxs[0], s)
	}
}

func (c *callStats) sent(v any, n int) {
	if c != nil {
		c.tell(&stats.OutPayload{Client: c.client, Payload: v, Length: n, CompressedLength: n, WireLength: n + 5, SentTime: time.Now()})
	}
}

func (c *callStats) got(v any, n int) {
	if c != nil {
		c.tell(&stats.InPayload{Client: c.client, Payload: v, Length: n, CompressedLength: n, WireLength: n + 5, RecvTime: time.Now()})
	}
}

func (c *callStats) end(err error) {
	if c != nil {
		var t metadata.MD
		if c.trailer != nil {
			t = c.trailer()
		}
		c.tell(&stats.End{Client: c.client, BeginTime: c.begun, EndTime: time.Now(), Error: err, Trailer: t})
	}
}
