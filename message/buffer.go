// SPDX-License-Identifier: Apache-2.0

package message

import (
	"math/bits"
	"sync"
)

// Buffers are pooled by powers of two between these.
const (
	minClass = 9  // 512 B
	maxClass = 26 // 64 MiB; larger ones are left to the collector
)

// buffer is pooled memory. Its owner is whoever got it, until putBuffer.
type buffer struct{ b []byte }

// pools recycle memory and nothing else: what is in them has no meaning.
var pools [maxClass + 1]sync.Pool

func class(n int) int { return max(bits.Len(uint(max(n, 1)-1)), minClass) }

// capacity is what to allocate for n bytes, so that it can be pooled.
func capacity(n int) int {
	if k := class(n); k <= maxClass {
		return 1 << k
	}
	return n
}

// getBuffer returns a buffer of length n with unspecified content.
func getBuffer(n int) *buffer {
	k := class(n)
	if k > maxClass {
		return &buffer{make([]byte, n)}
	}
	if b, ok := pools[k].Get().(*buffer); ok {
		b.b = b.b[:n]
		return b
	}
	return &buffer{make([]byte, n, 1<<k)}
}

func putBuffer(b *buffer) {
	if k := class(cap(b.b)); k <= maxClass && cap(b.b) == 1<<k {
		pools[k].Put(b)
	}
}
