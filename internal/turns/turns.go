// SPDX-License-Identifier: Apache-2.0

package turns

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

var errLine = errors.New("this peer has too many connections that it has not completed, or that nobody has accepted")

// Turns gives each peer (an identity, or a machine) places of its own, so that
// one which fills them with connections that say nothing keeps nobody else
// waiting.
type Turns struct {
	places int // for each peer
	line   int // how many more may stand in line

	mu sync.Mutex
	of map[string]*Turn // guarded by mu: peers with a connection in a place or in line
}

// Turn is one peer's places. A holder of a place calls Leave once.
type Turn struct {
	all   *Turns
	who   string
	taken chan struct{}
	count int // guarded by all.mu: in a place or in line
}

// New gives each peer so many places, and a line of so many for them.
func New(places, line int) *Turns {
	return &Turns{places: places, line: line, of: map[string]*Turn{}}
}

// Peers is how many have a connection in a place or in line.
func (t *Turns) Peers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.of)
}

// Enter waits for a place; the error is fault.Exhausted where the line is too
// long, or the context's.
func (t *Turns) Enter(ctx context.Context, who string) (*Turn, error) {
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

// TryEnter returns nil where Enter would wait.
func (t *Turns) TryEnter(who string) *Turn {
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
func (t *Turns) join(who string) *Turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.of[who]
	if mine == nil {
		mine = &Turn{all: t, who: who, taken: make(chan struct{}, t.places)}
		t.of[who] = mine
	}
	if mine.count >= t.places+t.line {
		return nil
	}
	mine.count++
	return mine
}

// Leave gives the place to the next in line.
func (t *Turn) Leave() {
	<-t.taken
	t.forget()
}

func (t *Turn) forget() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if t.count--; t.count == 0 {
		delete(t.all.of, t.who)
	}
}
