// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/parley-ipc/parley/fault"
)

// The layout, version 1; docs/formats/cell.md is normative. Numbers are in the
// machine's byte order: the memory means nothing elsewhere.
//
//	   0  magic u64 │ version u32 │ flags u32 │ size u32 │ align u32 │ hash u64
//	  32  slots u32 │ stride u32 │ length u32 │ zeros
//	 128  seq u64 │ bell u32 │ state u32 │ zeros
//	 256  the text of the type, length bytes of it
//	2048  slots × stride bytes; the value of seq is in slot seq mod slots
const (
	magic   = 0x4c4379656c726170 // "parleyCL" where the low byte comes first
	version = 1

	atMagic   = 0
	atVersion = 8
	atFlags   = 12
	atSize    = 16
	atAlign   = 20
	atHash    = 24
	atSlots   = 32
	atStride  = 36
	atLength  = 40
	atSeq     = 128
	atBell    = 136
	atState   = 140
	atText    = 256
	atValues  = 2048

	maxText = atValues - atText

	flagWakes  = 1 // flags: the writer wakes those who sleep on the bell
	stateEnded = 1 // state: no value will follow

	slotCount = 4
	line      = 128 // no two slots share a cache line, nor a pair of them
)

// fresh reports whether a copy that began at sequence number was is whole if
// the number is now after it. The slot is written again for was+slotCount,
// which begins once was+slotCount-1 is published.
func fresh(was, now uint64) bool { return now-was < slotCount-1 }

// next is the number after last. 0 means that nothing was set, so it is left
// out, together with as many numbers as keep slots in turn.
func next(last uint64) uint64 {
	if last++; last != 0 {
		return last
	}
	return slotCount
}

// Size is how many bytes of memory a cell of T takes, and an error of kind
// fault.Invalid or fault.TooLarge if there can be no cell of T.
func Size[T any]() (int, error) {
	s, err := shapeOf(reflect.TypeFor[T]())
	if err != nil {
		return 0, err
	}
	return s.total(), nil
}

func (s *shape) stride() int { return roundUp(s.size, line) }

func (s *shape) total() int { return atValues + slotCount*s.stride() }

// memory is a cell's memory, cut to size, as both ends see it.
type memory struct {
	bytes []byte
	seq   *atomic.Uint64
	bell  *atomic.Uint32
	state *atomic.Uint32
	slots [slotCount][]atomic.Uint64
	masks []uint64
}

func (s *shape) over(mem []byte, op string) (memory, error) {
	if len(mem) < s.total() {
		return memory{}, fault.New(fault.Invalid, op, "", fmt.Errorf("%d bytes of memory, the cell needs %d", len(mem), s.total()))
	}
	if !aligned(mem) {
		return memory{}, fault.New(fault.Invalid, op, "", errors.New("the memory does not begin at a multiple of 8"))
	}
	mem = mem[:s.total():s.total()]
	m := memory{bytes: mem, seq: word(mem, atSeq), bell: word32(mem, atBell), state: word32(mem, atState), masks: s.masks}
	for i := range m.slots {
		begin := atValues + i*s.stride()
		m.slots[i] = words(mem[begin : begin+s.stride()])
	}
	return m, nil
}

func word(b []byte, off int) *atomic.Uint64 { return &words(b[off : off+8])[0] }
