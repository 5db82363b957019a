// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Watch says when it is worth trying again to dial an address at which nobody
// listened. Make it before the first try: then no listener that comes between
// a try and the Wait after it is missed.
//
//	w := endpoint.NewWatch(addr)
//	defer w.Close()
//	for {
//		c, err := dial(addr)
//		if !errors.Is(err, fault.Unavailable) {
//			return c, err
//		}
//		if err := w.Wait(ctx); err != nil {
//			return nil, err
//		}
//	}
//
// It belongs to one goroutine.
type Watch struct {
	addr    string
	path    string // socket or stem of the fifos; empty: nothing to see, only to retry
	backoff time.Duration
	notice  notice
}

const (
	minBackoff     = time.Millisecond
	maxBlindRetry  = 100 * time.Millisecond // where nothing tells us of a change
	maxWatchedWait = time.Second            // where something does: for what it cannot tell, such as bind without listen
)

// NewWatch starts to watch for a listener at addr.
func NewWatch(addr Address) *Watch { return names{}.newWatch(addr) }

func (n names) newWatch(addr Address) *Watch {
	path, _, err := n.toDial(addr)
	if err != nil {
		path = "" // dialling will say what is wrong
	}
	return watchPath(addr.String(), path)
}

func watchPath(addr, path string) *Watch {
	w := &Watch{addr: addr, path: path, backoff: minBackoff}
	if path != "" {
		w.notice.open(filepath.Dir(path))
	}
	return w
}

// Wait returns nil when something has happened since the last Wait, or a
// while has passed, and the context's error when that ends first.
func (w *Watch) Wait(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return fault.Wrap("wait for", w.addr, err)
	}
	happened, limit := w.notice.wait(ctx, w.path, w.backoff)
	if err := context.Cause(ctx); err != nil {
		return fault.Wrap("wait for", w.addr, err)
	}
	w.backoff = min(2*w.backoff, limit)
	if happened {
		w.backoff = minBackoff
	}
	return nil
}

// Close stops watching.
func (w *Watch) Close() error { return w.notice.close() }

// WaitForSocket waits until something is at path, whose directory need not
// exist yet either. That it answers is not said: dial it, and see Watch.
func WaitForSocket(ctx context.Context, path string) error {
	w := watchPath(path, path)
	defer func() { _ = w.Close() }()
	for {
		_, err := os.Lstat(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return fault.Wrap("wait for", path, err)
		}
		if err := w.Wait(ctx); err != nil {
			return err
		}
	}
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
