// SPDX-License-Identifier: Apache-2.0

//go:build linux

package waitfd

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

func pipe(t *testing.T) (*FD, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Of(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = d.Close(), w.Close() })
	return d, w
}

// take reads one byte.
func take(ctx context.Context, d *FD) error {
	return d.Read(ctx, func(fd uintptr) bool {
		n, err := syscall.Read(int(fd), make([]byte, 1))
		return n == 1 || !errors.Is(err, syscall.EAGAIN)
	})
}

// TestEachWaiterHasItsOwnContext: the first in the poller and those behind it
// are cancelled one by one, and the rest are served.
func TestEachWaiterHasItsOwnContext(t *testing.T) {
	d, w := pipe(t)
	const waiters = 20
	var wg sync.WaitGroup
	var served atomic.Int32
	cancelled := errors.New("enough")
	var cancels []context.CancelCauseFunc
	for range waiters {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancels = append(cancels, cancel)
		wg.Go(func() {
			switch err := take(ctx, d); {
			case err == nil:
				served.Add(1)
			case !errors.Is(err, cancelled):
				t.Error(err)
			}
		})
	}
	for i, cancel := range cancels {
		if i%2 == 0 {
			cancel(cancelled)
		}
	}
	if _, err := w.Write(make([]byte, waiters)); err != nil { // enough for all, cancelled or not
		t.Fatal(err)
	}
	wg.Wait()
	for _, cancel := range cancels {
		cancel(nil)
	}
	if n := served.Load(); n < waiters/2 {
		t.Errorf("%d were served, want %d at least", n, waiters/2)
	}
}

func TestCloseEndsAllWaits(t *testing.T) {
	d, _ := pipe(t)
	ended := make(chan error)
	for range 3 {
		go func() { ended <- take(context.Background(), d) }()
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if err := take(t.Context(), d); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestEndedContext(t *testing.T) {
	d, w := pipe(t)
	_, _ = w.WriteString("x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := take(ctx, d); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := take(t.Context(), d); err != nil { // what was there is there
		t.Error(err)
	}
}
