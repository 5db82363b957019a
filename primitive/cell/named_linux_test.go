// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/cell"
	"github.com/parley-ipc/parley/primitive/shm"
)

func writer[T any](t *testing.T, name string) *cell.NamedWriter[T] {
	t.Helper()
	w, err := cell.CreateNamed[T](t.Context(), name, cell.NamedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		_ = shm.Unlink(context.Background(), name, shm.NamedConfig{Kind: cell.Kind}, true)
	})
	return w
}

func reader[T any](t *testing.T, name string, c cell.NamedConfig) *cell.NamedReader[T] {
	t.Helper()
	r, err := cell.OpenNamed[T](t.Context(), name, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func set[T any](t *testing.T, w *cell.NamedWriter[T], v T) uint64 {
	t.Helper()
	seq, err := w.Set(v)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func TestNamedCellOutlastsItsWriter(t *testing.T) {
	w := writer[sample](t, "lasting")
	r := reader[sample](t, "lasting", cell.NamedConfig{})
	if _, seq, err := r.Get(); !errors.Is(err, fault.NotFound) || seq != 0 {
		t.Errorf("before the first Set: %d, %v", seq, err)
	}
	for n := uint64(1); n < 10; n++ {
		seq := set(t, w, sampleOf(n))
		if v, got, err := r.Get(); v != sampleOf(n) || got != seq || err != nil {
			t.Errorf("%d: %d, %d, %v", n, v[0], got, err)
		}
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if v, seq, err := reader[sample](t, "lasting", cell.NamedConfig{}).Get(); v != sampleOf(9) || seq != 9 || err != nil {
		t.Errorf("after the writer: %d, %d, %v", v[0], seq, err)
	}
	again := writer[sample](t, "lasting")
	if v, _, err := r.Get(); v != sampleOf(9) || err != nil {
		t.Errorf("the next writer took the value away: %d, %v", v[0], err)
	}
	if seq := set(t, again, sampleOf(10)); seq != 10 {
		t.Errorf("the next writer began at %d", seq)
	}
	if v, seq, err := r.Watch(t.Context(), 9); v != sampleOf(10) || seq != 10 || err != nil {
		t.Errorf("Watch over the change: %d, %d, %v", v[0], seq, err)
	}
}

func TestNamedCellHasOneWriter(t *testing.T) {
	w := writer[sample](t, "one")
	if _, err := cell.CreateNamed[sample](t.Context(), "one", cell.NamedConfig{}); !errors.Is(err, fault.InUse) {
		t.Errorf("a second writer: %v", err)
	}
	set(t, w, sampleOf(1))
	_ = w.Close()
	_ = writer[sample](t, "one")
}

func TestNamedCellRefuses(t *testing.T) {
	type point struct{ X, Y float64 }
	type larger struct{ X, Y, Z float64 }
	w := writer[point](t, "typed")
	set(t, w, point{1, 2})
	_ = w.Close()
	for name, try := range map[string]func() error{
		"a reader of another type": func() error {
			_, err := cell.OpenNamed[[2]int64](t.Context(), "typed", cell.NamedConfig{})
			return err
		},
		"a reader of a larger type": func() error { _, err := cell.OpenNamed[larger](t.Context(), "typed", cell.NamedConfig{}); return err },
		"a writer of a larger type": func() error {
			_, err := cell.CreateNamed[larger](t.Context(), "typed", cell.NamedConfig{})
			return err
		},
		"a writer of another type": func() error {
			_, err := cell.CreateNamed[[2]int64](t.Context(), "typed", cell.NamedConfig{})
			return err
		},
	} {
		if err := try(); !errors.Is(err, fault.Protocol) || !strings.Contains(err.Error(), `"X float64"`) && !strings.Contains(err.Error(), `"Z float64"`) {
			t.Errorf("%s: %v, want an error that names the field", name, err)
		}
	}
	if _, err := cell.OpenNamed[point](t.Context(), "nothing", cell.NamedConfig{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("no such cell: %v", err)
	}
	if _, err := cell.CreateNamed[*int](t.Context(), "pointer", cell.NamedConfig{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a pointer: %v", err)
	}
}

func TestNamedCellWatchEnds(t *testing.T) {
	w := writer[sample](t, "ends")
	r := reader[sample](t, "ends", cell.NamedConfig{})
	set(t, w, sampleOf(1))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := r.Watch(ctx, 1); !errors.Is(err, fault.Timeout) {
		t.Errorf("its context ended: %v", err)
	}
	_ = w.Close()
	if _, _, err := r.Watch(t.Context(), 1); !errors.Is(err, io.EOF) {
		t.Errorf("the writer closed it: %v", err)
	}
	if v, _, err := r.Watch(t.Context(), 0); v != sampleOf(1) || err != nil {
		t.Errorf("a value that it has not seen: %d, %v", v[0], err)
	}
	across := reader[sample](t, "ends", cell.NamedConfig{Across: true})
	got := make(chan uint64)
	go func() {
		_, seq, err := across.Watch(context.Background(), 1)
		if err != nil {
			seq = 0
		}
		got <- seq
	}()
	set(t, writer[sample](t, "ends"), sampleOf(2))
	if seq := <-got; seq != 2 {
		t.Errorf("across writers: %d", seq)
	}
	if err := shm.Unlink(t.Context(), "ends", shm.NamedConfig{Kind: cell.Kind}, true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := across.Watch(t.Context(), 2); !errors.Is(err, fault.NotFound) {
		t.Errorf("it was removed: %v", err)
	}
	_ = r.Close()
	if _, _, err := r.Watch(t.Context(), 2); !errors.Is(err, fault.Closed) {
		t.Errorf("closed: %v", err)
	}
}

// Whoever may write to the file may cut it short. Nobody ends of that.
func TestNamedCellCutShort(t *testing.T) {
	proctest.NeedsKernel(t, "tells no address of a SIGBUS")
	w := writer[cell.Text](t, "cut")
	r := reader[cell.Text](t, "cut", cell.NamedConfig{Config: cell.Config{NoSpin: true}})
	path := filepath.Join(os.Getenv("PARLEY_RUNTIME_DIR"), "cut.cell.seg")
	watch := make(chan error)
	go func() { _, _, err := r.Watch(context.Background(), 0); watch <- err }()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Set(cell.Text{}); !errors.Is(err, fault.Protocol) {
		t.Errorf("Set: %v", err)
	}
	if _, _, err := r.Get(); !errors.Is(err, fault.Protocol) {
		t.Errorf("Get: %v", err)
	}
	if err := <-watch; !errors.Is(err, fault.Protocol) {
		t.Errorf("Watch: %v", err)
	}
	if err := w.Close(); !errors.Is(err, fault.Protocol) {
		t.Errorf("Close: %v", err)
	}
}

// namedRole sets words that agree, as fast as it can.
func namedRole(p *proctest.Self) error {
	w, err := cell.CreateNamed[sample](context.Background(), p.Args[0], cell.NamedConfig{})
	if err != nil {
		return err
	}
	var n uint64
	if _, err := fmt.Sscan(p.Args[1], &n); err != nil {
		return err
	}
	for first := n; ; n++ {
		if _, err := w.Set(sampleOf(n)); err != nil {
			return err
		}
		if n == first {
			p.Say("set")
		}
	}
}

// Writers are killed in the middle of it all, one after the other. Readers
// are told, never see a torn value or an older one, and go on with the next.
func TestNamedCellKilledWriters(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	t.Cleanup(func() { _ = shm.Unlink(context.Background(), "killed", shm.NamedConfig{Kind: cell.Kind}, true) })
	var r *cell.NamedReader[sample]
	var last, lastValue uint64
	for round := range 12 {
		p := proctest.Start(t, "named", "killed", fmt.Sprint(lastValue+1))
		p.Expect("set")
		if r == nil {
			r = reader[sample](t, "killed", cell.NamedConfig{})
		}
		if lives, err := r.WriterLives(); !lives || err != nil {
			t.Errorf("round %d: the writer lives: %v, %v", round, lives, err)
		}
		watch := func() error {
			v, seq, err := r.Watch(t.Context(), last)
			if err != nil {
				return err
			}
			if v.torn() || seq <= last || v[0] < lastValue {
				t.Fatalf("round %d: %d with %d after %d with %d, torn: %v", round, seq, v[0], last, lastValue, v.torn())
			}
			last, lastValue = seq, v[0]
			return nil
		}
		for range 20 + rnd.IntN(200) {
			if err := watch(); err != nil {
				t.Fatal(err)
			}
		}
		p.Kill()
		var err error
		for err == nil {
			err = watch()
		}
		if !errors.Is(err, fault.PeerDied) {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

func BenchmarkNamed(b *testing.B) {
	w, err := cell.CreateNamed[small](b.Context(), "bench", cell.NamedConfig{Config: cell.Config{NoWatch: true}})
	if err != nil {
		b.Fatal(err)
	}
	r, err := cell.OpenNamed[small](b.Context(), "bench", cell.NamedConfig{})
	if err != nil {
		b.Fatal(err)
	}
	_, _ = w.Set(small{1})
	b.Run("Set/64B", func(b *testing.B) {
		for b.Loop() {
			_, _ = w.Set(small{1})
		}
	})
	b.Run("Get/64B", func(b *testing.B) {
		for b.Loop() {
			_, _, _ = r.Get()
		}
	})
	_, _ = r.Close(), w.Close()
}
