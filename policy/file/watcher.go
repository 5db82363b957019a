// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher tells a Watched when to look. It watches directories, not the file:
// an editor's rename and the swap of a Kubernetes ConfigMap's symlink put
// another file in its place. It is used by one goroutine.
type watcher struct {
	w      *Watched
	fs     *fsnotify.Watcher // nil: only polling
	events chan fsnotify.Event
	errors chan error
	failed map[string]bool // directories that cannot be watched
}

// newWatcher watches what it can; where it cannot, it says so in the log and
// leaves it to polling.
func newWatcher(w *Watched) *watcher {
	n := &watcher{w: w, failed: map[string]bool{}}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		w.o.Logger.Warn("cannot watch the policy file, looking at it at times instead", "file", w.path, "every", w.o.Poll, "error", err)
		return n
	}
	n.fs, n.events, n.errors = fs, fs.Events, fs.Errors
	n.rewatch()
	return n
}

func (n *watcher) close() {
	if n.fs != nil {
		_ = n.fs.Close() // waits for its own goroutine's end, and cannot fail usefully
	}
}

// rewatch makes the watched directories those that the path leads through now.
func (n *watcher) rewatch() {
	if n.fs == nil {
		return
	}
	want, have := chain(n.w.path), n.fs.WatchList()
	for _, dir := range have {
		if !slices.Contains(want, dir) {
			_ = n.fs.Remove(dir) // it may be gone already
		}
	}
	for _, dir := range want {
		if err := n.fs.Add(dir); err == nil {
			delete(n.failed, dir)
		} else if !n.failed[dir] {
			n.failed[dir] = true // told once
			n.w.o.Logger.Warn("cannot watch a directory of the policy file", "directory", dir, "every", n.w.o.Poll, "error", err)
		}
	}
}

// run owns the watcher until ctx ends.
func (n *watcher) run(ctx context.Context) {
	defer n.close()
	var settled, poll <-chan time.Time
	if n.w.o.Poll > 0 {
		t := time.NewTicker(n.w.o.Poll)
		defer t.Stop()
		poll = t.C
	}
	signal := n.w.o.Signal
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-n.events:
			if !ok {
				n.events = nil
			} else if settled == nil {
				settled = time.After(n.w.o.Settle)
			}
		case <-settled:
			settled = nil
			n.look()
		case err, ok := <-n.errors:
			if !ok {
				n.errors = nil
				continue
			}
			n.w.o.Logger.Warn("watching the policy file", "file", n.w.path, "error", err)
			n.look() // events may have been lost
		case <-poll:
			n.look()
		case _, ok := <-signal:
			if !ok {
				signal = nil
				continue
			}
			_ = n.w.Reload() // logged
		}
	}
}

// look watches the new way to the file before it reads it, so that no change
// falls between the two.
func (n *watcher) look() {
	n.rewatch()
	n.w.look()
}
