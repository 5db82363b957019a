// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// Subscribers implements topic.Admin.
func (p *publisher) Subscribers() []topic.Subscriber {
	p.mu.Lock()
	defer p.mu.Unlock()
	subs := make([]topic.Subscriber, 0, len(p.links))
	for _, l := range p.links {
		s := l.sub
		s.Lag = l.h.Lag() // set: only then it is among the links
		subs = append(subs, s)
	}
	slices.SortFunc(subs, func(a, b topic.Subscriber) int { return cmp.Compare(a.ID, b.ID) })
	return subs
}

// AwaitSubscribers implements topic.Admin.
func (p *publisher) AwaitSubscribers(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		have, came := len(p.links), p.came
		p.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-came:
		case <-p.closed:
			return p.closedError()
		case <-ctx.Done():
			return fault.New(fault.KindOf(context.Cause(ctx)), "wait for subscribers", p.addr, fmt.Errorf("%d of %d are there: %w", have, n, context.Cause(ctx)))
		}
	}
}

// Drop implements topic.Admin.
func (p *publisher) Drop(id uint64) error {
	p.mu.Lock()
	l := p.links[id]
	p.mu.Unlock()
	if l == nil {
		return fault.New(fault.NotFound, "drop", p.addr, fmt.Errorf("it has no subscriber %d", id))
	}
	p.dropped.Add(1)
	l.farewell()
	return nil
}
