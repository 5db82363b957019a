// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/cell"
)

// sample is a value that is whole if all its words agree.
type sample [64]uint64

func sampleOf(n uint64) (s sample) {
	for i := range s {
		s[i] = n
	}
	return s
}

func (s *sample) torn() bool {
	for _, w := range s {
		if w != s[0] {
			return true
		}
	}
	return false
}

// pair is both ends of a cell on plain bytes.
func pair[T any](t testing.TB, c cell.Config, start uint64) (*cell.Writer[T], *cell.Reader[T]) {
	t.Helper()
	n, err := cell.Size[T]()
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, n)
	w, err := cell.NewAt[T](mem, c, start)
	if err != nil {
		t.Fatal(err)
	}
	r, err := cell.Open[T](mem, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return w, r
}

func TestLatest(t *testing.T) {
	w, r := pair[sample](t, cell.Config{}, 0)
	if v, seq, ok := r.Get(); ok || seq != 0 || v != (sample{}) {
		t.Errorf("before the first Set: %v, %d, %v", v[0], seq, ok)
	}
	for n := uint64(1); n <= 20; n++ {
		if seq := w.Set(sampleOf(n * 7)); seq != n {
			t.Errorf("Set %d returned %d", n, seq)
		}
		for range 2 {
			if v, seq, ok := r.Get(); v != sampleOf(n*7) || seq != n || !ok {
				t.Errorf("Get: %v, %d, %v, want %d, %d", v[0], seq, ok, n*7, n)
			}
		}
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if seq := w.Set(sample{}); seq != 0 {
		t.Errorf("Set after Close: %d", seq)
	}
	if v, _, ok := r.Get(); v != sampleOf(140) || !ok {
		t.Errorf("the last value is gone after Close: %v, %v", v[0], ok)
	}
}

// edge sets and gets one size, by bytes that differ, at each slot.
func edge[T comparable](t *testing.T) {
	t.Helper()
	w, r := pair[T](t, cell.Config{NoWatch: true}, 0)
	for n := range byte(9) {
		var v T
		for i, b := 0, cell.Bytes(&v); i < len(b); i++ {
			b[i] = byte(i)*3 + n
		}
		w.Set(v)
		if got, _, ok := r.Get(); got != v || !ok {
			t.Errorf("%T: got another value", v)
		}
	}
}

func TestSizes(t *testing.T) {
	edge[byte](t)
	edge[[3]byte](t)
	edge[uint32](t)
	edge[[7]byte](t)
	edge[[8]byte](t)
	edge[[9]byte](t)
	edge[[127]byte](t)
	edge[[128]byte](t)
	edge[[129]byte](t)
	edge[[12]int16](t)
	edge[[cell.MaxSize - 1]byte](t)
	edge[[cell.MaxSize]byte](t)
}

func TestCountersNearTheirEnds(t *testing.T) {
	for _, start := range []uint64{math.MaxUint32 - 5, math.MaxUint64 - 5} {
		w, r := pair[sample](t, cell.Config{}, start)
		before := start
		for n := range uint64(20) {
			seq := w.Set(sampleOf(n))
			v, got, ok := r.Get()
			if v != sampleOf(n) || got != seq || seq == 0 || seq == before || !ok {
				t.Fatalf("from %d, set %d: value %d, %d after %d, %v", start, n, v[0], got, before, ok)
			}
			if v, got, err := r.Watch(t.Context(), before); v != sampleOf(n) || got != seq || err != nil {
				t.Fatalf("from %d, set %d: Watch: %d, %d, %v", start, n, v[0], got, err)
			}
			before = seq
		}
	}
}

// A writer that stops in the middle of a Set, for ever or for a while, leaves
// the value before it.
func TestHalfASet(t *testing.T) {
	w, r := pair[sample](t, cell.Config{}, 0)
	w.Begin(sampleOf(1), 5)
	if _, seq, ok := r.Get(); ok || seq != 0 {
		t.Errorf("half of the first value was read: %d, %v", seq, ok)
	}
	for n := uint64(1); n < 10; n++ {
		w.Set(sampleOf(n))
		for words := range 65 {
			w.Begin(sampleOf(n+1), words)
			if v, seq, ok := r.Get(); v != sampleOf(n) || seq != n || !ok {
				t.Fatalf("value %d, %d words of the next: %d, %v", n, words, seq, ok)
			}
		}
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	w, r := pair[sample](t, cell.Config{NoWatch: true}, 0)
	w.Set(sampleOf(1))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for last := uint64(0); last < 20000; {
				v, seq, ok := r.Get()
				if !ok {
					t.Error("64 copies were overtaken")
					return
				}
				if v.torn() || v[0] != seq || seq < last {
					t.Errorf("sequence %d after %d with the value %d, torn: %v", seq, last, v[0], v.torn())
					return
				}
				last = seq
			}
		})
	}
	for n := uint64(2); n <= 20000; n++ {
		w.Set(sampleOf(n))
	}
	wg.Wait()
}

func TestNothingIsAllocated(t *testing.T) {
	w, r := pair[sample](t, cell.Config{}, 0)
	v := sampleOf(1)
	if n := testing.AllocsPerRun(100, func() { w.Set(v); v, _, _ = r.Get() }); n != 0 {
		t.Errorf("%v allocations for Set and Get", n)
	}
}

func TestBadMemory(t *testing.T) {
	n, err := cell.Size[sample]()
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, n+8)
	for name, b := range map[string][]byte{"nil": nil, "short": mem[:n-1], "crooked": mem[1 : n+1], "at four": mem[4 : n+4]} {
		if _, err := cell.New[sample](b, cell.Config{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("New on %s memory: %v", name, err)
		}
		if _, err := cell.Open[sample](b, cell.Config{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("Open on %s memory: %v", name, err)
		}
	}
	if _, err := cell.Open[sample](mem, cell.Config{}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Open before New: %v", err)
	}
}
