// SPDX-License-Identifier: Apache-2.0

package rpc

import "testing"

// TestPool: a buffer has the size that was asked for, and as much room as its
// class says, so that what comes back is not handed out for more.
func TestPool(t *testing.T) {
	p := new(bufferPool)
	p.Put(new(make([]byte, 300))) // not one of ours
	for _, n := range []int{0, 1, 255, 256, 257, 300, 511, 512, 513, 1 << 20, 1<<20 + 1, 8 << 20, 8<<20 + 1, 20 << 20} {
		for range 2 {
			b := p.Get(n)
			if len(*b) != n || cap(*b) < max(n, 1) {
				t.Fatalf("Get(%d): %d bytes, room for %d", n, len(*b), cap(*b))
			}
			*b = (*b)[:cap(*b)]
			p.Put(b)
		}
	}
}
