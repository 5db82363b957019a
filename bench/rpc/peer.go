// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// peer is one RPC system.
type peer struct {
	name      string
	serve     func(ctx context.Context, s party.Side) error // returns when it listens
	dial      func(ctx context.Context, s party.Side) (caller, error)
	noStreams bool
	nats      bool // wants a server beside it
}

// caller is a connection, safe for many goroutines.
type caller interface {
	// call sends body and returns the size of the answer. The context has a
	// deadline; the header goes with it.
	call(ctx context.Context, body []byte) (int, error)
	close() error
}

// streamer is a caller that has streams.
type streamer interface {
	// stream receives n messages of a size.
	stream(ctx context.Context, size, n int) error
}

func (p peer) role(ctx context.Context, s party.Side) (party.Runner, error) {
	if !s.Left {
		if err := os.WriteFile(s.Path(p.file()), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return nil, err
		}
		return answer, p.serve(ctx, s)
	}
	l := &lead{ctx: ctx, side: s, peer: p}
	return l.run, nil
}

// file has the process id of the side that serves.
func (p peer) file() string { return fmt.Sprintf("pid-%x", p.name) }

// answer is the server's part of a command: its goroutines answer by
// themselves; it clears up where the other side looks at its memory.
func answer(c party.Command) (party.Figures, error) {
	if c.Op == opIdle {
		go tidy()
	}
	return party.Figures{party.CPU: 0}, nil
}

// lead is the side that calls.
type lead struct {
	ctx  context.Context
	side party.Side
	peer peer
	conn caller
}

func (l *lead) run(c party.Command) (party.Figures, error) {
	if l.conn == nil {
		var err error
		if l.conn, err = l.peer.dial(l.ctx, l.side); err != nil {
			return nil, err
		}
	}
	server, err := l.serverTime()
	if err != nil {
		return nil, err
	}
	before := allocations()
	own := party.ProcessorTime()
	f, err := l.measure(c)
	if err != nil {
		return nil, err
	}
	now, err := l.serverTime()
	f[party.Allocs] = float64(allocations()-before) / float64(c.Count)
	f[party.CPU] = float64(party.ProcessorTime()-own) + float64(now-server)
	return f, err
}

func (l *lead) measure(c party.Command) (party.Figures, error) {
	switch c.Op {
	case opUnary:
		body := make([]byte, c.Size)
		return party.Trips(c, func() error { return call(l.ctx, l.conn, body) })
	case opCallers:
		return party.Flow(c, func() error { return l.many(c) })
	case opStream:
		s, ok := l.conn.(streamer)
		if !ok {
			return nil, fmt.Errorf("%s has no streams", l.peer.name)
		}
		return party.Flow(c, func() error { return s.stream(l.ctx, c.Size, c.Count) })
	case opIdle:
		return l.idle(c)
	}
	return nil, fmt.Errorf("no operation %q", c.Op)
}

// call makes one call as a stub's user does: with a deadline of its own.
func call(ctx context.Context, conn caller, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	n, err := conn.call(ctx, body)
	if err == nil && n != len(body) {
		err = fmt.Errorf("an answer of %d bytes, want %d", n, len(body))
	}
	return err
}

// callers is how many goroutines share a connection.
const callers = 64

func (l *lead) many(c party.Command) error {
	var left atomic.Int64
	left.Store(int64(c.Count))
	errs := make(chan error, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			body := make([]byte, c.Size)
			for left.Add(-1) >= 0 {
				if err := call(l.ctx, l.conn, body); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
