// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"math/bits"
	"os"
	"sync/atomic"

	kernel "github.com/parley-ipc/parley/primitive/shm"
)

// A segment is one page of words, then the ring that its owner writes. The
// owner alone can write any of it; the peer maps it read-only. Words that
// change at different rates lie 128 bytes apart.
//
//	offset  word         meaning (of the segment's owner)
//	     0  tail    u64  position after the last byte published in this ring
//	     8  files   u64  groups of files announced on the socket so far
//	   128  head    u64  position after the last byte read from the peer's ring
//	   136  taken   u64  groups of files taken from the peer so far
//	   256  rsleep  u32  bit 0: our reader sleeps; bit 1: on your knock, not
//	                     on the socket; each sleep has its own number above
//	   260  wsleep  u32  likewise of our writer
//	   264  want    u32  free bytes for which our writer wants to be woken
//	   268  state   u32  bit 0: no byte will follow tail; bit 1: closed
//	   272  rknock  u32  how often we woke a reader that sleeps on this word
//	   276  wknock  u32  likewise a writer
//
// All of it is hostile to whoever reads it: tail and head are checked by
// package ring, files and taken by those who read them; a false sleep number
// or want costs its reader one needless byte on the socket per operation, a
// false state ends only the liar's own connection, a false knock wakes in vain.
const (
	offTail   = 0
	offFiles  = 8
	offHead   = 128
	offTaken  = 136
	offRSleep = 256
	offWSleep = 260
	offWant   = 264
	offState  = 268
	offRKnock = 272
	offWKnock = 276
)

// Bits of a sleep word.
const (
	sleepAny   = 1 << 0
	sleepKnock = 1 << 1 // on the peer's knock word, by futex
	sleepNext  = 1 << 2 // from one sleep to the next
)

const (
	stateEnded  = 1 << 0
	stateClosed = 1 << 1
)

// Sizes of one ring.
const (
	MinRingSize     = 16 << 10
	MaxRingSize     = 1 << 30
	DefaultRingSize = 4 << 20 // by measurement: docs/PERFORMANCE.md
)

// page is a segment's words.
type page struct {
	tail, files, head, taken    *atomic.Uint64
	rsleep, wsleep, want, state *atomic.Uint32
	rknock, wknock              *atomic.Uint32
}

func pageOf(b []byte) page {
	return page{
		tail: kernel.Uint64(b, offTail), files: kernel.Uint64(b, offFiles),
		head: kernel.Uint64(b, offHead), taken: kernel.Uint64(b, offTaken),
		rsleep: kernel.Uint32(b, offRSleep), wsleep: kernel.Uint32(b, offWSleep),
		want: kernel.Uint32(b, offWant), state: kernel.Uint32(b, offState),
		rknock: kernel.Uint32(b, offRKnock), wknock: kernel.Uint32(b, offWKnock),
	}
}

// headSize is the size of the page of words: one page of this machine, which
// is the peer's machine too.
func headSize() int { return os.Getpagesize() }

func segmentSize(ring int) int { return headSize() + ring }

func goodRing(size uint64) bool {
	return size >= MinRingSize && size <= MaxRingSize && bits.OnesCount64(size) == 1 && size%uint64(headSize()) == 0
}
