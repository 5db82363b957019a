// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"os"
	"sync/atomic"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// The publisher's segment is one page of words, then the ring, mapped twice
// in a row. Words that change at different rates lie 128 bytes apart.
//
//	offset  word         meaning
//	     0  magic   u64  "PARLEYB1"
//	     8  ring    u64  size of the ring in bytes
//	    16  epoch   u64  another for each publisher, growing until a reboot
//	    24  start   u64  position of the first record
//	    32  first   u64  its sequence number
//	   128  tail    u64  position after the last record published
//	   136  last    u64  position of a record published, the newest but for an instant
//	   256  intent  u64  what lies before intent - ring may be overwritten
//	   384  sleep   u32  odd: the publisher waits for the reliable
//	   388  state   u32  bit 0: no record will follow tail
//	   392  until   u64  the floor for which it waits
//	   512  marks   u64  eight of them: for each eighth of the ring the end of the publication that reached into it
//
// A subscriber's control page:
//
//	  0  magic   u64  "PARLEYC1"
//	  8  epoch   u64  the epoch it is for
//	128  cursor  u64  position of the next record to read
//	136  floor   u64  position of the first byte still in use
//	256  sleep   u32  odd: the subscriber sleeps; each sleep has its number
//	260  state   u32  bit 0: it has gone
//
// All of it is hostile to whoever did not write it.
const (
	offMagic  = 0
	offRing   = 8
	offEpoch  = 16
	offStart  = 24
	offFirst  = 32
	offTail   = 128
	offLast   = 136
	offIntent = 256
	offSleep  = 384
	offState  = 388
	offUntil  = 392
	offMarks  = 512

	numMarks = 8

	offControlMagic = 0
	offControlEpoch = 8
	offCursor       = 128
	offFloor        = 136
	offNap          = 256
	offGone         = 260
)

const (
	magic        = 0x314259454c524150 // "PARLEYB1"
	controlMagic = 0x314359454c524150 // "PARLEYC1"

	stateEnded = 1 << 0
)

// Sizes of the ring.
const (
	MinRing     = 16 << 10
	MaxRing     = 1 << 30
	DefaultRing = 1 << 20
)

// A record is a header and its bytes, in all a multiple of 8.
//
//	offset  field
//	     0  length  u32  of the bytes, without header and padding
//	     4  back    u32  size of the record before, 0 for the first
//	     8  seq     u64
//	    16  time    i64  CLOCK_MONOTONIC of publication, nanoseconds
//	    24  bytes
const headerSize = 24

// recordSlack is what a record may have beyond a quarter of the ring, so that
// a program's own few bytes about a payload do not double the ring.
const recordSlack = 1 << 10

// MaxRecord is the largest record of a ring of that size: a quarter of it and
// 1 KiB.
func MaxRecord(ring int) int { return ring/4 + recordSlack }

// recordSize is what n bytes take in the ring.
func recordSize(n int) uint64 { return headerSize + (uint64(n)+7)&^7 }

type header struct {
	length, back uint32
	seq          uint64
	time         int64
}

func (h header) put(b []byte) {
	binary.NativeEndian.PutUint32(b[0:], h.length)
	binary.NativeEndian.PutUint32(b[4:], h.back)
	binary.NativeEndian.PutUint64(b[8:], h.seq)
	binary.NativeEndian.PutUint64(b[16:], uint64(h.time))
}

func headerOf(b []byte) header {
	return header{
		length: binary.NativeEndian.Uint32(b[0:]), back: binary.NativeEndian.Uint32(b[4:]),
		seq: binary.NativeEndian.Uint64(b[8:]), time: int64(binary.NativeEndian.Uint64(b[16:])),
	}
}

// headerFrom is the header of three words.
func headerFrom(first, seq, time uint64) header {
	var b [headerSize]byte
	binary.NativeEndian.PutUint64(b[0:], first)
	binary.NativeEndian.PutUint64(b[8:], seq)
	binary.NativeEndian.PutUint64(b[16:], time)
	return headerOf(b[:])
}

// words are the publisher's.
type words struct {
	magic, ring, epoch, start, first *atomic.Uint64
	tail, last, intent, until        *atomic.Uint64
	sleep, state                     *atomic.Uint32
	marks                            [numMarks]*atomic.Uint64
}

func wordsOf(b []byte) words {
	w := words{
		magic: shm.Uint64(b, offMagic), ring: shm.Uint64(b, offRing), epoch: shm.Uint64(b, offEpoch),
		start: shm.Uint64(b, offStart), first: shm.Uint64(b, offFirst),
		tail: shm.Uint64(b, offTail), last: shm.Uint64(b, offLast),
		intent: shm.Uint64(b, offIntent), until: shm.Uint64(b, offUntil),
		sleep: shm.Uint32(b, offSleep), state: shm.Uint32(b, offState),
	}
	for i := range w.marks {
		w.marks[i] = shm.Uint64(b, offMarks+8*i)
	}
	return w
}

// noMark is no position, unlike 0, which counters that have gone round come to.
const noMark = 1

// eighth is which eighth of the ring a position lies in, counted from 0 on.
func eighth(pos, ring uint64) uint64 { return pos / (ring / numMarks) }

// controls are one subscriber's.
type controls struct {
	magic, epoch, cursor, floor *atomic.Uint64
	sleep, state                *atomic.Uint32
}

func controlsOf(b []byte) controls {
	return controls{
		magic: shm.Uint64(b, offControlMagic), epoch: shm.Uint64(b, offControlEpoch),
		cursor: shm.Uint64(b, offCursor), floor: shm.Uint64(b, offFloor),
		sleep: shm.Uint32(b, offNap), state: shm.Uint32(b, offGone),
	}
}

// ControlSize is the size of a subscriber's control page: one page of this
// machine.
func ControlSize() int { return os.Getpagesize() }

// SegmentSize is the size of the segment around a ring.
func SegmentSize(ring int) int { return os.Getpagesize() + ring }

func checkRing(ring int) error {
	if ring >= MinRing && ring <= MaxRing && bits.OnesCount64(uint64(ring)) == 1 && ring%os.Getpagesize() == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "configure broadcast", "", errors.New("the ring's size must be a power of two from 16 KiB to 1 GiB"))
}

// ahead is how far a lies before b, negative if behind: positions are counted
// modulo 2^64.
func ahead(a, b uint64) int64 { return int64(a - b) }
