// SPDX-License-Identifier: Apache-2.0

package shm

import "context"

// vigil ends a half's sleep when a context ends. A context that was slept
// under twice in a row stays watched between the sleeps, so that a loop with
// one context costs nothing; any other is let go when its sleep ends. A kick
// that comes late only makes somebody look in vain.
type vigil struct {
	last <-chan struct{} // Done of the context of the last sleep
	stop func() bool     // nil if it is not watched
}

func (v *vigil) begin(ctx context.Context, wakeUp func()) {
	done := ctx.Done()
	if done == v.last && (done == nil || v.stop != nil) {
		return
	}
	v.letGo()
	if done != nil {
		v.stop = context.AfterFunc(ctx, wakeUp)
	}
}

func (v *vigil) end(ctx context.Context) {
	done := ctx.Done()
	if done == nil {
		return
	}
	if done != v.last || ctx.Err() != nil {
		v.letGo()
	}
	v.last = done
}

func (v *vigil) letGo() {
	if v.stop == nil {
		return
	}
	v.stop()
	v.stop, v.last = nil, nil
}
