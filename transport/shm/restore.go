// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"sync"
	"time"
)

// restore is one direction's deadline, which a context may cut short.
type restore struct {
	mu    sync.Mutex
	t     time.Time // guarded by mu: what the user set
	cut   bool      // guarded by mu: a context has ended meanwhile
	apply func(time.Time) error
}

func (r *restore) set(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.t = t
	if r.cut {
		return nil
	}
	return r.apply(t)
}

func (r *restore) get() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.t
}

// until ends the operation under way when ctx ends; the function it returns
// puts the user's deadline back.
func (r *restore) until(ctx context.Context) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		r.change(true)
	})
	return func() {
		if !stop() {
			<-done
			r.change(false)
		}
	}
}

func (r *restore) change(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	if t := r.t; !cut {
		_ = r.apply(t)
		return
	}
	_ = r.apply(longAgo)
}
