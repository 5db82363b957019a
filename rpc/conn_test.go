// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/parley-ipc/parley/internal/rpcwire"
)

// late is a context that has ended and has not told so yet.
type late struct {
	context.Context
	over atomic.Bool
}

func (l *late) Err() error {
	if l.over.Load() {
		return context.Canceled
	}
	return nil
}

// TestEnterPassesTheSignalOn: a place that is given back to a caller whose
// context has just ended goes to the next one that waits.
func TestEnterPassesTheSignalOn(t *testing.T) {
	c := &conn{hello: rpcwire.Hello{Streams: 1}}
	c.room = sync.NewCond(&c.mu)
	c.role.Store(1) // somebody reads
	first := new(clientStream)
	if err := c.enter(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	impatient := &late{Context: t.Context()}
	results := make(chan error)
	queue := func(ctx context.Context, n int32) {
		go func() { results <- c.enter(ctx, new(clientStream)) }()
		for c.waiters.Load() < n {
			runtime.Gosched()
		}
		c.mu.Lock()   // it waits by now
		c.mu.Unlock() //nolint:staticcheck // that is all
	}
	queue(impatient, 1)
	queue(t.Context(), 2)
	impatient.over.Store(true)
	c.remove(first.id)
	if a, b := <-results, <-results; !errors.Is(errors.Join(a, b), context.Canceled) || a != nil && b != nil {
		t.Error(a, b)
	}
}

// TestMetadataOfHostilePeers: what no honest peer can send is not there for
// those who hand metadata on.
func TestMetadataOfHostilePeers(t *testing.T) {
	var p rpcwire.Pairs
	for _, pair := range [][2]string{
		{"good", "1"}, {"Upper", "1"}, {"line\nbreak", "1"}, {"split", "1\r\nauthorization: Bearer x"},
		{":path", "/"}, {"grpc-status", "0"}, {"raw-bin", "\x00\n"}, {"good", "2"},
	} {
		p = rpcwire.AppendPair(p, pair[0], pair[1])
	}
	md := toMD(p)
	want := metadata.Pairs("good", "1", "good", "2", "raw-bin", "\x00\n")
	if len(md) != len(want) || len(md["good"]) != 2 || len(md["raw-bin"]) != 1 {
		t.Errorf("%q, want %q", md, want)
	}
}

// TestStopInAnInlineHandler: a handler that holds the reader's role does not
// hold up the connection's end, for the guard outlives it; nor does that last
// longer than the handler.
func TestStopInAnInlineHandler(t *testing.T) {
	s := NewServer(ServerConfig{})
	conns := make(chan *conn, 1)
	if err := Handle(s, "/t.T/Stop", func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		conns <- ctx.(*serverStream).c
		s.Stop()
		return new(struct{}), nil
	}); err != nil {
		t.Fatal(err)
	}
	s.registry.find("/t.T/Stop").pace.credit.Store(promotion)
	client, ended := connected(t, s)
	if _, err := Call[struct{}, struct{}](t.Context(), client, "/t.T/Stop", new(struct{})); err == nil {
		t.Error("a call that ends its connection has an answer")
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
	for c := <-conns; c.guarding.Load(); {
		runtime.Gosched()
	}
}
