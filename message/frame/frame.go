// SPDX-License-Identifier: Apache-2.0

package frame

import "github.com/parley-ipc/parley/primitive/shm"

// Frame is the owner's hold on one frame of a pool, from Take to Release. It
// may be sent over any number of the pool's links in between.
type Frame struct {
	pool     *Pool // immutable
	slot     *slot // immutable
	released bool  // guarded by pool.mu
}

// slot is one frame's memory, used again and again.
//
//	free ──Take──► written ──Send──► lent ──last release──► free
type slot struct {
	number uint32      // immutable
	mem    *shm.Memory // immutable
	bytes  []byte      // immutable; mapped until the pool is closed and holders is 0

	holders int // guarded by pool.mu: the Frame, and each link that was sent it
}

// Bytes is the frame's memory, of the pool's size. It holds whatever it held
// before. It is written only before the first Send, by whoever took the frame:
// nothing stops a later write, and receivers would see it. It is not to be
// touched after Release.
func (f *Frame) Bytes() []byte { return f.slot.bytes }

// Release ends the owner's hold: the frame is free when all receivers have
// released it, too. It is idempotent.
func (f *Frame) Release() {
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	if f.released {
		return
	}
	f.released = true
	f.pool.drop(f.slot)
}
