// SPDX-License-Identifier: Apache-2.0

package cell

import "sync/atomic"

// NewAt is New with a first sequence number.
func NewAt[T any](mem []byte, c Config, start uint64) (*Writer[T], error) {
	return newAt[T](mem, c, start)
}

// Begin is a Set that dies after n words.
func (w *Writer[T]) Begin(v T, n int) {
	store(w.slots[next(w.last)%slotCount], bytesOf(&v)[:8*n], nil)
}

// PublishOnly is a Set that dies before it wakes anybody.
func (w *Writer[T]) PublishOnly(v T) {
	w.wakes = false
	w.Set(v)
	w.wakes = true
}

// Slot returns the words of the slot that follows the latest value's.
func (r *Reader[T]) Slot() []uint64 {
	var ws []uint64
	for i := range r.slots[0] {
		ws = append(ws, r.slots[next(r.seq.Load())%slotCount][i].Load())
	}
	return ws
}

// Words shows memory as a hostile writer does.
func Words(mem []byte) []atomic.Uint64 { return words(mem) }

// Bytes is the memory of a value.
func Bytes[T any](v *T) []byte { return bytesOf(v) }
