// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// gate is a lock whose waiters can be called off: it is held as long as a
// loan or a sleep lasts, and no wait may outlast its context, deadline or
// connection. Uncontended, taking and leaving it cost one atomic operation
// each. Whoever comes may pass those who wait, until one of them has waited
// for patience: then the gate is handed over to it.
type gate struct {
	state atomic.Uint32 // who sets it to awaited holds mu

	mu    sync.Mutex
	queue []*waiter // guarded by mu
}

const (
	free    = 0
	held    = 1
	awaited = 2 // held, and the queue is to be told of the end

	patience = time.Millisecond
)

// waiter is one that waits at a gate.
type waiter struct {
	look  chan struct{} // at most one token: look again
	since time.Time
	owner bool // guarded by the gate's mu: the gate has been handed over to it
}

func (g *gate) tryLock() bool { return g.state.CompareAndSwap(free, held) }

// lock waits for the gate. Whenever it is kicked it asks stopped, whose error
// ends the wait.
func (g *gate) lock(ctx context.Context, stopped func() error) error {
	w := &waiter{look: make(chan struct{}, 1), since: time.Now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, w)
	for g.state.Swap(awaited) != free {
		if err := stopped(); err != nil { // asked after we have queued, so that no kick is missed
			g.remove(w)
			g.tell()
			return err
		}
		g.mu.Unlock()
		select {
		case <-w.look:
		case <-ctx.Done():
		}
		g.mu.Lock()
		if w.owner {
			return nil // the operation asks stopped for itself
		}
	}
	g.remove(w)
	return nil
}

func (g *gate) unlock() {
	if g.state.CompareAndSwap(held, free) {
		return
	}
	g.mu.Lock()
	g.pass()
	g.mu.Unlock()
}

// pass leaves the gate, to the first in the queue if it has waited long. The
// caller holds both the gate and mu.
func (g *gate) pass() {
	if len(g.queue) > 0 && time.Since(g.queue[0].since) > patience {
		w := g.queue[0]
		g.remove(w)
		w.owner = true
		w.wake()
		return
	}
	g.state.Store(free)
	g.tell()
}

// tell makes the first in the queue look again. The caller holds mu.
func (g *gate) tell() {
	if len(g.queue) > 0 {
		g.queue[0].wake()
	}
}

// kick makes everyone in the queue look again.
func (g *gate) kick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.queue {
		w.wake()
	}
}

func (g *gate) remove(w *waiter) {
	if i := slices.Index(g.queue, w); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
}

func (w *waiter) wake() {
	select {
	case w.look <- struct{}{}:
	default:
	}
}
