// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"encoding/binary"
	"sync/atomic"
)

// store copies a value into a slot, word by word: plain stores could become
// visible before the publication that must precede them. Bits outside masks
// (nil: none) become zero, so that padding tells nobody what lay there before.
func store(to []atomic.Uint64, value []byte, masks []uint64) {
	n := len(value) / 8
	for i := range n {
		w := binary.NativeEndian.Uint64(value[i*8:])
		if masks != nil {
			w &= masks[i]
		}
		to[i].Store(w)
	}
	if rest := value[n*8:]; len(rest) > 0 {
		var last [8]byte
		copy(last[:], rest)
		w := binary.NativeEndian.Uint64(last[:])
		if masks != nil {
			w &= masks[n]
		}
		to[n].Store(w)
	}
}

// load copies a slot out. Bits outside masks become zero here, too: a bool
// that is neither 0 nor 1 is undefined in Go, and the writer may be hostile.
func load(value []byte, from []atomic.Uint64, masks []uint64) {
	n := len(value) / 8
	for i := range n {
		w := from[i].Load()
		if masks != nil {
			w &= masks[i]
		}
		binary.NativeEndian.PutUint64(value[i*8:], w)
	}
	if rest := value[n*8:]; len(rest) > 0 {
		w := from[n].Load()
		if masks != nil {
			w &= masks[n]
		}
		var last [8]byte
		binary.NativeEndian.PutUint64(last[:], w)
		copy(rest, last[:])
	}
}
