// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"sync"
)

// parking is where any number of goroutines of one handle wait for a condition
// that all of them can see: one sleeps in shared memory for all.
type parking struct {
	mu      sync.Mutex
	led     bool          // guarded by mu: somebody sleeps
	changed chan struct{} // guarded by mu; closed whenever the sleeper was woken
}

func (p *parking) listen() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

func (p *parking) lead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.led {
		return false
	}
	p.led = true
	return true
}

func (p *parking) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.led = false
	close(p.changed)
	p.changed = make(chan struct{})
}

// await waits until cond, which must be cheap and without effect. While it
// sleeps, wants[me] is place, by which whoever changes the condition finds us.
func (h *handle) await(ctx context.Context, op string, place uint64, cond func() bool) error {
	if err := h.enterHandle(op); err != nil {
		return err
	}
	defer h.inside.Done()
	for {
		changed := h.parked.listen()
		switch {
		case cond():
			takeOver()
			return nil
		case ctx.Err() != nil:
			return h.ended(ctx, op)
		case h.ctx.Err() != nil:
			return h.errClosed(op)
		case h.parked.lead():
			h.sleepFor(ctx, op, place, cond)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-h.ctx.Done():
		}
	}
}

// sleepFor is the sleep of the one that sleeps for all. It returns when there
// may be news, for any of them.
func (h *handle) sleepFor(ctx context.Context, op string, place uint64, cond func() bool) {
	defer h.parked.follow()
	if h.obj.pacer.Spin(cond) {
		return
	}
	w := h.newSleep(ctx, &h.obj)
	defer w.stop()
	defer h.wants[h.me].Store(0)
	w.listen()
	bell := w.seen
	h.wants[h.me].Store(place)
	h.slot.waiting.Store(monotonic())
	defer h.slot.waiting.Store(0)
	for !cond() && w.over(op) == nil && h.obj.bell.word.Load() == bell {
		if !h.lookRound(false) {
			w.rest()
		}
		w.members = h.members.Load()
	}
}
