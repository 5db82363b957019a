// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"math"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/parley-ipc/parley/internal/futex"
	"github.com/parley-ipc/parley/internal/wake"
)

// tries bounds Get: each one fails only if the writer set three values during
// one copy.
const tries = 64

// Reader gets the value. It is safe for concurrent use.
type Reader[T any] struct {
	memory
	wakes  bool // the writer promises to ring the bell
	across bool // Watch goes on after the writer has closed the cell: there will be another

	pacerMu sync.Mutex
	pacer   wake.Pacer // guarded by pacerMu

	cancel atomic.Uint32 // changes when a context of a Watch or the Reader ends
	late   atomic.Uint64

	mu     sync.Mutex
	closed chan struct{}  // closed under mu
	inside sync.WaitGroup // calls of Watch; added to under mu
}

// Open finds the cell of T in mem, which may be mapped read-only and must stay
// mapped until Close has returned and no Get is under way. Memory without a
// finished cell is fault.Unavailable: its writer is still at it, or died
// before it was done. A cell of another type is fault.Protocol, and the error
// names the field that differs.
func Open[T any](mem []byte, c Config) (*Reader[T], error) {
	s, err := shapeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	m, err := s.over(mem, "open cell")
	if err != nil {
		return nil, err
	}
	flags, err := s.check(m)
	if err != nil {
		return nil, err
	}
	mode := wake.Auto
	if c.NoSpin {
		mode = wake.Off
	}
	return &Reader[T]{memory: m, wakes: flags&flagWakes != 0, pacer: wake.NewPacer(mode), closed: make(chan struct{})}, nil
}

// Get returns the latest value and its sequence number. ok is false if no
// value has been set yet (seq is 0), or if the writer was so fast, or so
// hostile, that 64 copies in a row were overtaken (seq is not 0). The bits of
// a value are whatever the writer put there: check enumerations before use.
func (r *Reader[T]) Get() (v T, seq uint64, ok bool) {
	for range tries {
		seq = r.seq.Load()
		if seq == 0 {
			break
		}
		load(bytesOf(&v), r.slots[seq%slotCount], r.masks)
		if fresh(seq, r.seq.Load()) {
			takeOver()
			return v, seq, true
		}
	}
	var none T
	return none, seq, false
}

// Late is how many values a Watch found only because it looks once a second:
// a writer that was killed between publishing and waking causes one, anything
// else is a bug.
func (r *Reader[T]) Late() uint64 { return r.late.Load() }

// Close ends every Watch with fault.Closed and waits until they have returned.
// It is idempotent. Get goes on working while the memory is mapped.
func (r *Reader[T]) Close() error {
	r.mu.Lock()
	select {
	case <-r.closed:
	default:
		close(r.closed)
	}
	r.mu.Unlock()
	r.interrupt()
	r.inside.Wait()
	return nil
}

// interrupt makes each Watch that sleeps look round.
func (r *Reader[T]) interrupt() {
	r.cancel.Add(1)
	futex.WakePrivate(&r.cancel, math.MaxInt32)
}
