// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"math"
	"reflect"

	"github.com/parley-ipc/parley/internal/futex"
)

// Config says how a cell is used. Its zero value works.
type Config struct {
	// NoWatch is the writer's: nobody is woken by Set, which then makes no
	// system call. Watch goes on working, by looking now and then.
	NoWatch bool
	// NoSpin is the reader's: Watch sleeps at once.
	NoSpin bool
}

// Writer is the one who sets the value. It is not safe for concurrent use.
type Writer[T any] struct {
	memory
	last  uint64 // authoritative: the memory is only written
	bells uint32 // how often the bell rang
	wakes bool
	ended bool
}

// New makes a cell of T, without a value yet, in mem, which it overwrites. mem
// holds at least Size[T]() bytes, begins at a multiple of 8, and must stay
// mapped while the Writer is used. A T with anything in it that is no number
// or bool is fault.Invalid, and the error names the field.
func New[T any](mem []byte, c Config) (*Writer[T], error) { return newAt[T](mem, c, 0) }

// newAt is New with a first sequence number.
func newAt[T any](mem []byte, c Config, start uint64) (*Writer[T], error) {
	s, err := shapeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	m, err := s.over(mem, "make cell")
	if err != nil {
		return nil, err
	}
	w := &Writer[T]{memory: m, last: start, wakes: !c.NoWatch}
	flags := uint32(0)
	if w.wakes {
		flags = flagWakes
	}
	s.format(m, flags, start)
	return w, nil
}

// Set makes v the value and returns its sequence number, which is never 0. It
// waits for nobody, however many read. After Close it does nothing and
// returns 0.
func (w *Writer[T]) Set(v T) uint64 {
	if w.ended {
		return 0
	}
	w.last = next(w.last)
	store(w.slots[w.last%slotCount], bytesOf(&v), w.masks)
	handOver()
	w.seq.Store(w.last)
	if w.wakes {
		w.ring()
	}
	return w.last
}

// ring wakes whoever sleeps. Readers cannot say that they do, since they
// cannot write: so each Set asks the kernel.
func (w *Writer[T]) ring() {
	w.bells++
	w.bell.Store(w.bells)
	futex.Wake(w.bell, math.MaxInt32)
}

// Close tells all readers that no value will follow. The last one stays
// readable as long as the memory does. It is idempotent.
func (w *Writer[T]) Close() error {
	if !w.ended {
		w.ended = true
		w.state.Store(stateEnded)
		w.ring()
	}
	return nil
}
