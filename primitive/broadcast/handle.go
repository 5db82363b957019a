// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Handle is one subscriber as the publisher sees it.
type Handle struct {
	p     *Publisher
	terms Terms // immutable

	// guarded by p.mu
	m       *shm.Mapping // nil once detached
	c       controls
	floor   uint64 // its floor when last read and found good
	seen    uint64 // what it said last, good or not
	settled bool   // floor has been its own word, not our allowance
	woken   uint32 // the sleep that we ended last
	why     error  // why it is detached
}

// Attach takes on the subscriber whose control page fd is, and owns fd. A
// page that is not sealed or not of this segment is fault.Protocol.
func (p *Publisher) Attach(fd int, terms Terms) (*Handle, error) {
	seg, err := shm.Receive(fd, ControlSize())
	if err != nil {
		return nil, err
	}
	defer func() { _ = seg.Close() }()
	if terms.Policy > Reliable {
		return nil, fault.New(fault.Invalid, "attach", terms.Name, fmt.Errorf("policy %d", terms.Policy))
	}
	if terms.Patience <= 0 {
		terms.Patience = time.Second
	}
	m, err := seg.MapTwice(0, false)
	if err != nil {
		return nil, err
	}
	h := &Handle{p: p, terms: terms, m: m, c: controlsOf(m.Tail)}
	if err := p.add(h); err != nil {
		_ = m.Unmap()
		return nil, err
	}
	return h, nil
}

func (p *Publisher) add(h *Handle) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fault.New(fault.Closed, "attach", h.terms.Name, nil)
	}
	if h.c.magic.Load() != controlMagic || h.c.epoch.Load() != p.w.epoch.Load() {
		return fault.New(fault.Protocol, "attach", h.terms.Name, errors.New("the page is no control page of this epoch"))
	}
	h.floor = p.tail
	h.seen = h.c.floor.Load()
	if p.tail-h.seen <= p.ring && p.intent-h.seen <= p.ring {
		h.floor, h.settled = h.seen, true
	}
	p.handles = append(p.handles, h)
	if h.terms.Policy == Reliable {
		p.reliable++
		p.floor = p.oldest()
	}
	h.rouse() // it may sleep since before we knew it
	return nil
}

// Detach lets the subscriber go. The subscriber itself is not told. It is
// idempotent.
func (h *Handle) Detach() {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.remove(h, fault.New(fault.Closed, "broadcast", h.terms.Name, errors.New("detached")))
	if h.p.cancel != nil {
		h.p.cancel() // the wait may have been for it
	}
}

// Name is that of its Terms.
func (h *Handle) Name() string { return h.terms.Name }

// Err says why the subscriber is attached no more; nil while it is.
func (h *Handle) Err() error {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	return h.why
}

// Lag is how many bytes of the ring the subscriber says that it has yet to
// read, at most all. It is for people: nothing is decided by it.
func (h *Handle) Lag() int {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	if h.m == nil {
		return 0
	}
	return int(min(h.p.tail-h.c.cursor.Load(), h.p.ring))
}

// drop removes a subscriber of whom its Terms must tell.
func (p *Publisher) drop(h *Handle, kind fault.Kind, why error) {
	if p.remove(h, fault.New(kind, "broadcast", h.terms.Name, why)) {
		p.fallen = append(p.fallen, h)
	}
}

// remove is called with mu held; it says whether h was attached.
func (p *Publisher) remove(h *Handle, why error) bool {
	i := slices.Index(p.handles, h)
	if i < 0 {
		return false
	}
	p.handles = slices.Delete(p.handles, i, i+1)
	if h.terms.Policy == Reliable {
		p.reliable--
	}
	h.why = why
	_ = h.m.Unmap()
	h.m, h.c = nil, controls{}
	return true
}

// rouse wakes the subscriber if it sleeps, once for each sleep.
func (h *Handle) rouse() {
	if nap := h.c.sleep.Load(); nap&1 == 1 && nap != h.woken {
		h.woken = nap
		if h.terms.Wake != nil {
			h.terms.Wake()
		}
	}
}
