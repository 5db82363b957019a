// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"sync/atomic"
)

// gate is a lock whose waiters can be called off: it is held as long as a
// loan lasts, and no wait may outlast its context, deadline or connection.
// Free and back cost one atomic operation each.
type gate struct {
	state atomic.Uint32
	turn  chan struct{} // at most one token: look again
}

const (
	free    = 0
	held    = 1
	awaited = 2 // held, and somebody may wait
)

func (g *gate) tryLock() bool { return g.state.CompareAndSwap(free, held) }

// lock waits for the gate. Whenever it is kicked it asks stopped, whose error
// ends the wait.
func (g *gate) lock(ctx context.Context, stopped func() error) error {
	if g.tryLock() {
		return nil
	}
	for g.state.Swap(awaited) != free {
		select {
		case <-g.turn:
		case <-ctx.Done():
		}
		if err := stopped(); err != nil {
			g.kick() // the token may have been another's
			return err
		}
	}
	return nil
}

func (g *gate) unlock() {
	if g.state.Swap(free) == awaited {
		g.kick()
	}
}

// kick makes one waiter look again; one that gives up kicks the next.
func (g *gate) kick() {
	select {
	case g.turn <- struct{}{}:
	default:
	}
}
