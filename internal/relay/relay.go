// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// mortal is a connection to a child, of which we know when it has ended.
type mortal interface {
	Wait(ctx context.Context) error
}

// Copy joins a and b until both directions have ended, and closes both. The
// end of one direction is passed on with CloseWrite while the other goes on; a
// slow reader slows its writer down, since at most one buffer is under way.
// Open files travel along where both sides are transport.FilePassers; sent to
// one that is none, they end the copy with fault.Unsupported.
//
// Who takes no more bytes may still have some to give: that direction goes on
// to its end. Otherwise, if either side breaks, or ctx ends, both are closed
// at once; the error names the side that failed, "a" or "b", with its address.
// A child that has ended ends it all once its output has been passed on; that
// it did not read all of its input is for its exit status to judge.
func Copy(ctx context.Context, a, b transport.Conn) error {
	closeBoth := func() { _, _ = a.Close(), b.Close() }
	defer closeBoth()
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()

	ends := make(chan end, 2)
	go func() { p := pump{side{"a", a}, side{"b", b}}; ends <- end{p, p.run()} }()
	go func() { p := pump{side{"b", b}, side{"a", a}}; ends <- end{p, p.run()} }()
	first := <-ends
	var dead atomic.Bool // a child, and nobody reads what the other side says
	switch {
	case first.err == nil:
		defer first.src.whenDead(ctx, func() { dead.Store(true); closeBoth() })()
	case !errors.As(first.err, new(refused)):
		closeBoth()
	}
	second := <-ends
	err := first.failure()
	if err == nil && !dead.Load() {
		err = second.failure()
	}
	if err != nil && ctx.Err() != nil {
		return fault.Wrap("relay", "", context.Cause(ctx))
	}
	return err
}

// end is how a direction ended.
type end struct {
	pump
	err error
}

// failure is nil, too, for a child that ended before it had read everything.
func (e end) failure() error {
	var r refused
	if !errors.As(e.err, &r) {
		return e.err
	}
	if _, ok := e.dst.c.(mortal); ok && fault.KindOf(r.error) == fault.PeerDied {
		return nil
	}
	return r.error
}

// whenDead calls do when s is a child that has ended. The caller calls cancel,
// which waits for that to be over.
func (s side) whenDead(ctx context.Context, do func()) (cancel func()) {
	m, ok := s.c.(mortal)
	if !ok {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = m.Wait(ctx)
		if ctx.Err() == nil {
			do()
		}
	})
	return func() { stop(); wg.Wait() }
}
