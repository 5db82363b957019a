// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/futex"
	"github.com/parley-ipc/parley/primitive/cell"
)

// ways are the kinds of waiting.
var ways = map[string]cell.Config{"spin": {}, "sleep": {NoSpin: true}, "look": {NoWatch: true}}

func TestWatchEachChange(t *testing.T) {
	for name, c := range ways {
		t.Run(name, func(t *testing.T) {
			w, r := pair[sample](t, c, 0)
			const sets, watchers = 50, 3
			seen := make(chan uint64, watchers)
			var wg sync.WaitGroup
			for range watchers {
				wg.Go(func() {
					for after := uint64(0); ; {
						v, seq, err := r.Watch(t.Context(), after)
						if err != nil {
							if !errors.Is(err, io.EOF) || after != sets {
								t.Errorf("after %d: %v", after, err)
							}
							return
						}
						if v != sampleOf(seq) || seq != after+1 {
							t.Errorf("after %d: sequence %d, value %d", after, seq, v[0])
						}
						after = seq
						seen <- seq
					}
				})
			}
			for n := uint64(1); n <= sets; n++ {
				w.Set(sampleOf(n))
				for range watchers {
					<-seen
				}
			}
			_ = w.Close()
			wg.Wait()
			if n := r.Late(); n != 0 {
				t.Errorf("%d values were found too late", n)
			}
		})
	}
}

// asleep starts a Watch and returns its outcome once it sleeps, or at least
// has begun where it only looks.
func asleep(ctx context.Context, t *testing.T, r *cell.Reader[sample], looks bool) <-chan error {
	t.Helper()
	result, begun := make(chan error, 1), make(chan struct{})
	go func() {
		close(begun)
		_, _, err := r.Watch(ctx, 1)
		result <- err
	}()
	<-begun
	for limit := time.Now().Add(10 * time.Second); !looks && futex.Sleepers() == 0 && time.Now().Before(limit); {
		runtime.Gosched()
	}
	return result
}

func TestWatchEnds(t *testing.T) {
	for name, c := range ways {
		t.Run(name, func(t *testing.T) {
			looks := c.NoWatch || runtime.GOOS != "linux"
			w, r := pair[sample](t, c, 0)
			w.Set(sampleOf(1))
			ctx, cancel := context.WithCancel(t.Context())
			result := asleep(ctx, t, r, looks)
			cancel()
			if err := <-result; !errors.Is(err, fault.Canceled) || !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, _, err := r.Watch(ctx, 1); !errors.Is(err, fault.Timeout) {
				t.Errorf("timed out: %v", err)
			}
			if _, seq, err := r.Watch(ctx, 0); seq != 1 || err != nil {
				t.Errorf("a value that is there: %d, %v", seq, err)
			}
			result = asleep(t.Context(), t, r, looks)
			_ = w.Close()
			if err := <-result; !errors.Is(err, io.EOF) {
				t.Errorf("the writer has closed: %v", err)
			}
			if _, seq, err := r.Watch(t.Context(), 0); seq != 1 || err != nil {
				t.Errorf("the last value: %d, %v", seq, err)
			}
		})
	}
}

func TestReaderClose(t *testing.T) {
	for name, c := range ways {
		t.Run(name, func(t *testing.T) {
			w, r := pair[sample](t, c, 0)
			w.Set(sampleOf(1))
			result := asleep(t.Context(), t, r, c.NoWatch || runtime.GOOS != "linux")
			for range 2 {
				_ = r.Close()
			}
			if err := <-result; !errors.Is(err, fault.Closed) {
				t.Errorf("closed: %v", err)
			}
			if _, _, err := r.Watch(t.Context(), 0); !errors.Is(err, fault.Closed) {
				t.Errorf("after Close: %v", err)
			}
			if _, seq, ok := r.Get(); seq != 1 || !ok {
				t.Errorf("Get after Close: %d, %v", seq, ok)
			}
		})
	}
}

// A writer that is killed between publishing and waking delays its last value
// by a second at most, and that is counted.
func TestKilledBeforeWaking(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux sleeps; elsewhere Watch looks")
	}
	w, r := pair[sample](t, cell.Config{NoSpin: true}, 0)
	w.Set(sampleOf(1))
	result := asleep(t.Context(), t, r, false)
	w.PublishOnly(sampleOf(2))
	if err := <-result; err != nil || r.Late() > 1 {
		t.Errorf("%v, late: %d", err, r.Late())
	}
}

// Beyond the bound on threads, Watch looks now and then.
func TestTooManySleepers(t *testing.T) {
	for range futex.MaxSleepers {
		futex.Enter()
		defer futex.Leave()
	}
	w, r := pair[sample](t, cell.Config{NoSpin: true}, 0)
	w.Set(sampleOf(1))
	result := asleep(t.Context(), t, r, true)
	w.Set(sampleOf(2))
	if err := <-result; err != nil {
		t.Error(err)
	}
	if n := futex.Sleepers(); n != futex.MaxSleepers {
		t.Errorf("%d sleepers are counted", n)
	}
}
