// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// room waits until n more bytes overwrite nothing that a reliable subscriber
// still needs. It is called and returns with mu held.
func (p *Publisher) room(ctx context.Context, n uint64) error {
	if p.reliable == 0 || p.tail+n-p.floor <= p.ring {
		return nil
	}
	p.poll.reset()
	extra := p.ring / 4 // n is hardly more than that, so there can be room for both
	for start := time.Now(); ; extra = 0 {
		left, behind := p.look(n, time.Since(start))
		if !behind {
			return nil
		}
		if extra > 0 {
			left = min(left, gatherTime)
		}
		if err := p.rest(ctx, n+extra, left); err != nil {
			return err
		}
	}
}

// gatherTime is how long the publisher sleeps at most for more room than it
// needs: woken for each little that a subscriber has read, both would spend
// their time on waking.
const gatherTime = time.Millisecond

// look reads the floor of each reliable subscriber, drops those who break the
// rules, have gone or have been waited for long enough, and says whether one
// is left to wait for, and how long.
func (p *Publisher) look(n uint64, waited time.Duration) (left time.Duration, behind bool) {
	var late, wrong, gone []*Handle
	for _, h := range p.handles {
		if h.terms.Policy != Reliable {
			continue
		}
		ended := h.c.state.Load()&stateEnded != 0
		switch ok := h.look(p.tail); {
		case !ok:
			wrong = append(wrong, h)
		case ended:
			gone = append(gone, h)
		case p.tail+n-h.floor <= p.ring:
		case waited >= h.terms.Patience:
			late = append(late, h)
		case !behind || h.terms.Patience-waited < left:
			left, behind = h.terms.Patience-waited, true
		}
	}
	for _, h := range wrong {
		p.drop(h, fault.Protocol, errors.New("its floor moved back or past the tail"))
	}
	for _, h := range gone {
		p.drop(h, fault.Closed, errors.New("the subscriber closed"))
	}
	for _, h := range late {
		p.drop(h, fault.Timeout, fmt.Errorf("the publisher waited %v for it", h.terms.Patience))
	}
	p.floor = p.oldest()
	return left, behind
}

// oldest is the lowest floor among the reliable.
func (p *Publisher) oldest() uint64 {
	floor := p.tail
	for _, h := range p.handles {
		if h.terms.Policy == Reliable && p.tail-h.floor > p.tail-floor {
			floor = h.floor
		}
	}
	return floor
}

// look reads the floor, once, and believes it if it lies between the last one
// and tail. One that has not yet reached what we allowed at Attach, because
// it was overtaken before, is as good as there.
func (h *Handle) look(tail uint64) bool {
	h.seen = h.c.floor.Load()
	switch {
	case h.seen-h.floor <= tail-h.floor:
		h.floor, h.settled = h.seen, true
	case h.settled:
		return false
	}
	return true
}

// rest sleeps until a reliable subscriber has moved, at most for left. It
// lets go of mu meanwhile. docs/formats/broadcast.md has the argument why no wake-up is lost.
func (p *Publisher) rest(ctx context.Context, n uint64, left time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap("publish", "", err)
	}
	p.w.until.Store(p.tail + n - p.ring)
	p.nap++
	p.w.sleep.Store(p.nap)
	err := p.doze(ctx, n, left)
	p.nap++
	p.w.sleep.Store(p.nap)
	if p.closed {
		return errClosed
	}
	return err
}

func (p *Publisher) doze(ctx context.Context, n uint64, left time.Duration) error {
	if p.moved() {
		return nil
	}
	wait := p.wait
	if wait == nil {
		wait = p.poll.wait
	}
	nap, cancel := context.WithTimeout(ctx, left)
	p.cancel, p.busy = cancel, true
	p.mu.Unlock()
	err := wait(nap)
	over := nap.Err() != nil
	cancel()
	p.mu.Lock()
	p.cancel, p.busy = nil, false
	switch {
	case ctx.Err() != nil:
		return fault.Wrap("publish", "", ctx.Err())
	case err != nil && !over:
		return fault.Wrap("publish", "", err)
	}
	return nil
}

// moved reports whether a reliable subscriber's floor is no longer what look
// saw, or it has gone.
func (p *Publisher) moved() bool {
	for _, h := range p.handles {
		if h.terms.Policy == Reliable && (h.c.floor.Load() != h.seen || h.c.state.Load()&stateEnded != 0) {
			return true
		}
	}
	return false
}
