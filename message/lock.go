// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// lock is a mutex whose waiters can give up. They get it in the order of their
// coming. Uncontended, taking and leaving it cost one atomic operation each.
type lock struct {
	state atomic.Uint32 // who sets it to lockAwaited holds mu

	mu    sync.Mutex
	queue []chan struct{} // guarded by mu: each is told when the lock is its own
}

const (
	lockFree    = 0
	lockHeld    = 1
	lockAwaited = 2 // held, and the queue is not empty
)

// acquire waits until the lock is ours (true), or ctx or closed ends.
func (l *lock) acquire(ctx context.Context, closed <-chan struct{}) bool {
	return l.state.CompareAndSwap(lockFree, lockHeld) || l.await(ctx, closed)
}

func (l *lock) await(ctx context.Context, closed <-chan struct{}) bool {
	l.mu.Lock()
	if l.state.Swap(lockAwaited) == lockFree {
		l.state.Store(lockHeld)
		l.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	l.queue = append(l.queue, mine)
	l.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	case <-closed:
	}
	l.mu.Lock()
	i := slices.Index(l.queue, mine)
	if i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		l.settle()
	}
	l.mu.Unlock()
	if i < 0 { // it became ours meanwhile
		l.release()
	}
	return false
}

func (l *lock) release() {
	if l.state.CompareAndSwap(lockHeld, lockFree) {
		return
	}
	l.mu.Lock()
	if len(l.queue) == 0 { // whoever waited has given up meanwhile
		l.state.Store(lockFree)
		l.mu.Unlock()
		return
	}
	next := l.queue[0]
	l.queue = slices.Delete(l.queue, 0, 1)
	l.settle()
	l.mu.Unlock()
	close(next)
}

// settle says that nobody waits any more, if so. The caller holds mu, and the
// lock is held.
func (l *lock) settle() {
	if len(l.queue) == 0 {
		l.state.Store(lockHeld)
	}
}
