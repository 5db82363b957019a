// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/parley-ipc/parley/primitive/cell"
)

// flags is a value whose every byte pattern is not a legal one.
type flags struct {
	On   [5]bool
	_    [3]byte
	Rate float64
	Mode uint8
	Last bool
}

// legal wants of a value what Go itself relies on, by its bytes.
func legal(t *testing.T, v flags) {
	b := cell.Bytes(&v)
	for _, i := range []int{0, 1, 2, 3, 4, 17} {
		if b[i] > 1 {
			t.Errorf("a bool is %#x: %x", b[i], b)
		}
	}
}

// FuzzHostilePage lets a writer put anything anywhere, before and after the
// cell is opened.
func FuzzHostilePage(f *testing.F) {
	n, err := cell.Size[flags]()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, uint16(0))
	f.Add([]byte("parleyCL\x01\x00\x00\x00\xff\xff\xff\xff"), uint16(0))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, uint16(12))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 'x', 'y', '\n', 0xff}, uint16(40))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 0xff}, uint16(128))
	f.Fuzz(func(t *testing.T, data []byte, at uint16) {
		mem := make([]byte, n)
		w, err := cell.New[flags](mem, cell.Config{})
		if err != nil {
			t.Fatal(err)
		}
		w.Set(flags{On: [5]bool{true}, Rate: 1})
		honest, err := cell.Open[flags](mem, cell.Config{NoSpin: true})
		if err != nil {
			t.Fatal(err)
		}
		copy(mem[int(at)%n:], data)
		late, err := cell.Open[flags](mem, cell.Config{NoSpin: true})
		if err != nil {
			late = honest
			if len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, r := range []*cell.Reader[flags]{honest, late} {
			v, seq, _ := r.Get()
			legal(t, v)
			v, _, _ = r.Watch(ctx, seq)
			legal(t, v)
			_ = r.Close()
		}
	})
}

// TestHostileWriter writes at random while others read and watch: they get
// wrong values, and nothing else happens to them.
func TestHostileWriter(t *testing.T) {
	n, err := cell.Size[flags]()
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, n)
	if _, err := cell.New[flags](mem, cell.Config{}); err != nil {
		t.Fatal(err)
	}
	r, err := cell.Open[flags](mem, cell.Config{})
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		rnd, all := rand.New(rand.NewPCG(1, 2)), cell.Words(mem)
		for i := 0; ; i++ {
			all[rnd.IntN(len(all))].Store(rnd.Uint64())
			all[128/8].Store(rnd.Uint64N(8))
			select {
			case <-stop:
				return
			default:
			}
			if i%64 == 0 {
				runtime.Gosched()
			}
		}
	}()
	for range 20000 {
		v, _, _ := r.Get()
		legal(t, v)
	}
	seq := uint64(0)
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		var v flags
		v, seq, _ = r.Watch(ctx, seq)
		legal(t, v)
		cancel()
	}
	close(stop)
	<-stopped
	_ = r.Close()
}
