// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
)

func TestWaitForSocket(t *testing.T) {
	for name, blind := range map[string]bool{"inotify": false, "polling": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "not", "yet", "x.sock")
			w := watchPath(path, path)
			if blind {
				_ = w.Close()
				w.notice = notice{}
			}
			defer func() { _ = w.Close() }()
			made := make(chan error, 1)
			go func() {
				err := os.MkdirAll(filepath.Dir(path), 0o700)
				if err == nil {
					err = os.WriteFile(path, nil, 0o600)
				}
				made <- err
			}()
			for {
				if _, err := os.Lstat(path); err == nil {
					break
				}
				if err := w.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-made; err != nil {
				t.Error(err)
			}
			if err := WaitForSocket(t.Context(), path); err != nil {
				t.Errorf("what is there already: %v", err)
			}
		})
	}
}

// TestWatchNoticesByEvent wants that it is the event that wakes: the back-off
// is set so long that the test would fail by its deadline.
func TestWatchNoticesByEvent(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct{ path, make string }{
		{dir + "/x.sock", dir + "/x.sock"},
		{dir + "/a/b/x.sock", dir + "/a"},
		{dir + "/pipe", dir + "/pipe.s2c"},
	} {
		w := watchPath(step.path, step.path)
		w.backoff = time.Hour
		if err := os.WriteFile(dir+"/noise", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(step.make, 0o700); err != nil { // before Wait: it must not be missed
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := w.Wait(ctx); err != nil || w.backoff != minBackoff {
			t.Errorf("%s: %v, next pause %v", step.path, err, w.backoff)
		}
		cancel()
		_ = w.Close()
		_ = os.Remove(dir + "/noise")
	}
}

func TestWatchFollowsAReplacedDirectory(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "d")
	path := filepath.Join(dir, "x.sock")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := watchPath(path, path)
	defer func() { _ = w.Close() }()
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w.backoff = time.Hour
	if err := w.Wait(ctx); err != nil {
		t.Error(err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	w := watchPath(path, path)
	defer func() { _ = w.Close() }()
	w.backoff = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Wait(ctx) }()
	cancel()
	if err := <-ended; !errors.Is(err, fault.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	if err := WaitForSocket(ctx, path); !errors.Is(err, fault.Canceled) {
		t.Errorf("WaitForSocket: %v", err)
	}
}

func TestWatchOfAPortOnlyRetries(t *testing.T) {
	w := NewWatch(mustParse(t, "tcp://127.0.0.1:1"))
	for range 3 {
		if err := w.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
