// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

// lineFactor is how many connections of one peer may stand in line for each
// place that it has.
const lineFactor = 8

var errLine = errors.New("this peer has too many connections that it has not completed, or that nobody has accepted")

// turns gives each peer (an identity, or a machine) places of its own, so that
// one which fills them with connections that say nothing keeps nobody else
// waiting.
type turns struct {
	places int // for each peer

	mu sync.Mutex
	of map[string]*turn // guarded by mu: peers with a connection in a place or in line
}

// turn is one peer's places. A holder of a place calls leave once.
type turn struct {
	all   *turns
	who   string
	taken chan struct{}
	count int // guarded by all.mu: in a place or in line
}

func newTurns(places int) *turns { return &turns{places: places, of: map[string]*turn{}} }

// enter waits for a place; the error is fault.Exhausted where the line is too
// long, or the context's.
func (t *turns) enter(ctx context.Context, who string) (*turn, error) {
	mine := t.join(who)
	if mine == nil {
		return nil, fault.New(fault.Exhausted, "handshake", who, errLine)
	}
	select {
	case mine.taken <- struct{}{}:
		return mine, nil
	case <-ctx.Done():
		mine.forget()
		return nil, fault.Wrap("handshake", who, context.Cause(ctx))
	}
}

// tryEnter returns nil where enter would wait.
func (t *turns) tryEnter(who string) *turn {
	mine := t.join(who)
	if mine == nil {
		return nil
	}
	select {
	case mine.taken <- struct{}{}:
		return mine
	default:
		mine.forget()
		return nil
	}
}

// join counts one more of who, unless there are too many.
func (t *turns) join(who string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.of[who]
	if mine == nil {
		mine = &turn{all: t, who: who, taken: make(chan struct{}, t.places)}
		t.of[who] = mine
	}
	if mine.count >= t.places*(1+lineFactor) {
		return nil
	}
	mine.count++
	return mine
}

// leave gives the place to the next in line.
func (t *turn) leave() {
	<-t.taken
	t.forget()
}

func (t *turn) forget() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if t.count--; t.count == 0 {
		delete(t.all.of, t.who)
	}
}
