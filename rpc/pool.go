// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"math/bits"
	"sync"
)

// bufferPool keeps buffers by size, a class for each power of two. Unlike
// grpc-go's own it does not clear them: whoever gets one writes all that he
// reads. It implements mem.BufferPool.
type bufferPool [numClasses]sync.Pool

const (
	firstClass = 8 // 256 bytes
	numClasses = 16
)

var pool = new(bufferPool)

// class is the smallest class for n bytes, which may lie beyond all of them.
func class(n int) int { return max(bits.Len(uint(max(n, 1)-1)), firstClass) - firstClass }

// Get returns a buffer of n bytes, at least one of them, that hold anything.
func (p *bufferPool) Get(n int) *[]byte {
	c := class(n)
	if c >= numClasses {
		b := make([]byte, n)
		return &b
	}
	if b, ok := p[c].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, 1<<(c+firstClass))
	return &b
}

// Put takes back a buffer from Get.
func (p *bufferPool) Put(b *[]byte) {
	n := cap(*b)
	if c := class(n); c < numClasses && n == 1<<(c+firstClass) {
		p[c].Put(b)
	}
}
