// SPDX-License-Identifier: Apache-2.0

package message

import "context"

// lock is a mutex whose waiters can give up.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

// acquire waits until the lock is ours (true), or ctx or closed ends.
func (l lock) acquire(ctx context.Context, closed <-chan struct{}) bool {
	select {
	case l <- struct{}{}:
		return true
	default:
	}
	select {
	case l <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	case <-closed:
		return false
	}
}

func (l lock) release() { <-l }
