// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/policy"
)

// Defaults of the options below.
const (
	DefaultSettle = 100 * time.Millisecond
	DefaultPoll   = 10 * time.Second
)

// Options say how a file is watched. The zero value works.
type Options struct {
	// Policy is handed on to policy.New.
	Policy policy.Options

	// Logger gets every reload and every refusal. Default: discarded.
	Logger *slog.Logger

	// Signal, if set, asks for a reload by each value that it delivers: hand
	// in what signal.Notify(c, syscall.SIGHUP) fills.
	Signal <-chan os.Signal

	// Reloaded, if set, is called after every reload: with nil, or with why
	// the file was refused. Reloads wait for it; it must not call Reload or
	// Close.
	Reloaded func(error)

	// Settle is how long after a change the file is read, so that one edit is
	// one reload. Default 100 ms.
	Settle time.Duration

	// Poll is how often the file is looked at where the system reports no
	// change: a network file system, no inotify watches left. Default 10 s;
	// negative: never.
	Poll time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Settle <= 0 {
		o.Settle = DefaultSettle
	}
	if o.Poll == 0 {
		o.Poll = DefaultPoll
	}
	return o
}

// Watched is an auth.Authorizer whose rules are those that the file had when
// it was last right. It may be asked from many goroutines, also during a
// reload: each question is decided wholly by the old or wholly by the new
// rules. After Close it goes on answering with the rules that it has.
type Watched struct {
	path    string
	o       Options
	current atomic.Pointer[policy.Policy] // never nil

	mu   sync.Mutex // serialises reloads
	seen state      // guarded by mu

	stop func()         // ends the watcher
	wg   sync.WaitGroup // the watcher
}

var _ auth.Authorizer = (*Watched)(nil)

// state is what the last look at the file found.
type state struct {
	digest [sha256.Size]byte
	err    string // why it could not be read
}

// Open loads the file, which must be right, and watches it from then on.
func Open(path string, o Options) (*Watched, error) {
	w := &Watched{path: path, o: o.withDefaults()}
	watcher := newWatcher(w) // before the first look, so that no change is missed
	text, err := read(path)
	if err == nil {
		var p *policy.Policy
		p, err = Parse(path, text, w.o.Policy)
		w.current.Store(p)
	}
	if err != nil {
		watcher.close()
		return nil, err
	}
	w.seen = state{digest: sha256.Sum256(text)}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	w.wg.Go(func() { watcher.run(ctx) })
	return w, nil
}

// Close stops watching and waits until that has ended. It is idempotent.
func (w *Watched) Close() error {
	w.stop()
	w.wg.Wait()
	return nil
}

// Path is the file's path as given to Open.
func (w *Watched) Path() string { return w.path }

// Policy returns the rules now in force.
func (w *Watched) Policy() *policy.Policy { return w.current.Load() }

// Authorize implements auth.Authorizer.
func (w *Watched) Authorize(ctx context.Context, id auth.Identity, action auth.Action, resource string) error {
	return w.Policy().Authorize(ctx, id, action, resource)
}

// Explain decides as Authorize does and says why.
func (w *Watched) Explain(id auth.Identity, action auth.Action, resource string) policy.Decision {
	return w.Policy().Explain(id, action, resource)
}

// Reload reads the file now, changed or not: names of users and groups are
// resolved anew. On an error the old rules stay in force.
func (w *Watched) Reload() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, err := read(w.path)
	return w.take(text, err)
}

// look reloads if the file is not as it was seen last.
func (w *Watched) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, err := read(w.path)
	if stateOf(text, err) != w.seen {
		_ = w.take(text, err) // logged
	}
}

// take puts what was read in force if it is right. The caller holds mu.
func (w *Watched) take(text []byte, err error) error {
	w.seen = stateOf(text, err)
	var p *policy.Policy
	if err == nil {
		p, err = Parse(w.path, text, w.o.Policy)
	}
	if err == nil {
		w.current.Store(p)
		w.o.Logger.Info("policy reloaded", "file", w.path, "rules", p.Len())
	} else {
		w.o.Logger.Error("policy refused, the old rules stay", "file", w.path, "error", err)
	}
	if w.o.Reloaded != nil {
		w.o.Reloaded(err)
	}
	return err
}

func stateOf(text []byte, err error) state {
	if err != nil {
		return state{err: err.Error()}
	}
	return state{digest: sha256.Sum256(text)}
}
