// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/topic"
)

// dice are seeded by PARLEY_SEED, and say so.
func dice(t *testing.T) *rand.Rand {
	seed := uint64(envInt("PARLEY_SEED", int(time.Now().UnixNano()%1e9)))
	t.Logf("PARLEY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), roleTime)
	t.Cleanup(cancel)
	return ctx
}

func desk(t *testing.T) *Engine {
	runtimeDir(t)
	e := open(t, "mem://desk", Config{})
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// heard is what a subscription of TestKilledPublishers has got so far.
type heard struct {
	sub    topic.Subscription
	epochs map[uint64]bool // read once done is closed
	items  chan struct{}   // a token for each item, as long as somebody takes them
	done   chan error
}

func hearAll(ctx context.Context, sub topic.Subscription) *heard {
	h := &heard{sub: sub, epochs: map[uint64]bool{}, items: make(chan struct{}, 1<<20), done: make(chan error, 1)}
	go func() {
		for {
			it, err := sub.Next(ctx)
			if err == nil {
				err = checkItem(it)
			}
			if err != nil {
				h.done <- err
				return
			}
			h.epochs[it.Epoch] = true
			select {
			case h.items <- struct{}{}:
			default:
			}
		}
	}()
	return h
}

// await waits for n more items.
func (h *heard) await(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-h.items:
		case err := <-h.done:
			t.Fatal(err)
		case <-ctx.Done():
			t.Fatal("no more items came")
		}
	}
}

// TestKilledPublishers: a publisher is killed at any instant, and another one
// comes; a subscriber of each policy finds it, and gets whole items.
func TestKilledPublishers(t *testing.T) {
	e, random, ctx := desk(t), dice(t), limited(t)
	var subs []*heard
	for _, pol := range topic.Policies() {
		s, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{Policy: pol, Patience: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, hearAll(ctx, s))
	}
	kills := max(3, envInt("PARLEY_KILLS", 8))
	for range kills {
		for _, h := range subs { // of the one before
			for len(h.items) > 0 {
				<-h.items
			}
		}
		child := proctest.Start(t, "publish", "1000000000")
		child.Expect("publishing")
		for _, h := range subs {
			h.await(ctx, t, 1+random.IntN(50))
		}
		child.Kill()
	}
	for i, h := range subs {
		if err := h.sub.Close(); err != nil {
			t.Error(err)
		}
		if err := <-h.done; !errors.Is(err, fault.Closed) {
			t.Errorf("%v: %v", topic.Policy(i), err)
		}
		if len(h.epochs) < kills/2 || h.sub.Stats().Publishers < uint64(kills)/2 {
			t.Errorf("%v: heard %d of %d publishers: %+v", topic.Policy(i), len(h.epochs), kills, h.sub.Stats())
		}
	}
	if infos, err := endpoint.List(ctx, endpoint.ListOptions{}); err != nil || len(infos) != 1 || infos[0].Live {
		t.Errorf("what the last one left is listed as %+v, %v", infos, err)
	}
	last := proctest.Start(t, "publish", "50")
	last.Expect("publishing")
	if err := last.Wait(); err != nil { // a stale name is no obstacle, and gone after an orderly end
		t.Error(err)
	}
	if infos, err := endpoint.List(ctx, endpoint.ListOptions{}); err != nil || len(infos) != 0 {
		t.Errorf("then there is %+v, %v", infos, err)
	}
}

// TestOrderOverEpochs: through kills, a reliable subscriber has each item of
// an epoch once, in order, and the gaps are what the counter says.
func TestOrderOverEpochs(t *testing.T) {
	e, random, ctx := desk(t), dice(t), limited(t)
	s, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{Policy: topic.Reliable, Patience: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var epoch, next uint64
	for range 4 {
		child := proctest.Start(t, "publish", "1000000000")
		for range 100 + random.IntN(500) {
			it, err := s.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if it.Epoch != epoch {
				epoch, next = it.Epoch, 0
			}
			if next += it.Lost; it.Seq != next {
				t.Fatalf("item %d of epoch %d, want %d", it.Seq, epoch, next)
			}
			next++
		}
		child.Kill()
	}
}

// TestKilledSubscribers: whoever is killed, of whatever policy, takes nobody
// along, and is not waited for.
func TestKilledSubscribers(t *testing.T) {
	e, random, ctx := desk(t), dice(t), limited(t)
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: 4 << 10, Ring: 64 << 10, MaxPatience: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	survivor := proctest.Start(t, "subscribe", "reliable")
	survivor.Expect("subscribed")
	ms := make([]topic.Message, 7)
	var next uint64
	publish := func(batches int) {
		for range batches {
			numberedBatch(ms, next)
			if _, err := p.PublishBatch(ctx, ms); err != nil {
				t.Fatal(err)
			}
			next += uint64(len(ms))
		}
	}
	for i := range max(3, envInt("PARLEY_KILLS", 6)) {
		child := proctest.Start(t, "subscribe", topic.Policies()[i%3].String())
		child.Expect("subscribed")
		publish(random.IntN(100))
		go child.Signal(syscall.SIGKILL)
		publish(100)
		if err := child.Wait(); err == nil {
			t.Error("the killed one ended by itself")
		}
	}
	publish(100)
	if st := p.Stats(); st.Dropped != 0 || st.Attached < 4 {
		t.Errorf("the publisher counts %+v", st)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if got := survivor.Hear(); got != fmt.Sprint(next, " ", 0) {
		t.Errorf("the survivor of %d items got and lost %s", next, got)
	}
}

// TestStoppedSubscribers: one that is stopped in the middle costs the
// publisher nothing under lossy and latest, and knows afterwards what it lost.
func TestStoppedSubscribers(t *testing.T) {
	e, ctx := desk(t), limited(t)
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: 4 << 10, Ring: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	children := map[string]*proctest.Process{}
	for _, pol := range []string{"lossy", "latest"} {
		children[pol] = proctest.Start(t, "subscribe", pol)
		children[pol].Expect("subscribed")
		children[pol].Signal(syscall.SIGSTOP)
	}
	watcher, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{Policy: topic.Reliable})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Close() }()
	const n = 700 // about a megabyte: the ring many times over
	ms := make([]topic.Message, 7)
	for next := uint64(0); next < n; next += 7 {
		numberedBatch(ms, next)
		if _, err := p.PublishBatch(ctx, ms); err != nil {
			t.Fatal(err)
		}
		for range ms {
			it, err := watcher.Next(ctx)
			if err == nil {
				err = checkItem(it)
			}
			if err != nil || it.Lost != 0 {
				t.Fatal(it.Lost, err)
			}
		}
	}
	if st := p.Stats(); st.Dropped != 0 || st.Subscribers != 3 {
		t.Errorf("the publisher counts %+v", st)
	}
	for _, c := range children {
		c.Signal(syscall.SIGCONT)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for pol, c := range children {
		var got, lost uint64
		if _, err := fmt.Sscan(c.Hear(), &got, &lost); err != nil || got+lost != n || lost == 0 {
			t.Errorf("%s: %d received and %d lost of %d, %v", pol, got, lost, n, err)
		}
	}
}

// TestStoppedReliable: a stopped reliable one is waited for once, then dropped
// by its name.
func TestStoppedReliable(t *testing.T) {
	e, ctx := desk(t), limited(t)
	dropped := make(chan topic.Subscriber, 4)
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{
		MaxData: 4 << 10, Ring: 64 << 10, MaxPatience: 50 * time.Millisecond,
		Dropped: func(s topic.Subscriber, _ error) { dropped <- s },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	child := proctest.Start(t, "subscribe", "reliable")
	child.Expect("subscribed")
	child.Signal(syscall.SIGSTOP)
	ms := make([]topic.Message, 7)
	for next := uint64(0); next < 350; next += 7 {
		numberedBatch(ms, next)
		if _, err := p.PublishBatch(ctx, ms); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case who := <-dropped:
		if who.Who.PID != child.Pid() || who.Policy != topic.Reliable || who.Name == "" {
			t.Errorf("dropped %+v", who)
		}
	case <-ctx.Done():
		t.Fatal("nobody was dropped")
	}
	child.Signal(syscall.SIGCONT)
	if err := child.Wait(); err == nil {
		t.Error("the dropped one did not learn of it")
	}
}

// TestLargest: an item of 64 MiB goes through, by loan and by copy.
func TestLargest(t *testing.T) {
	e, ctx := desk(t), limited(t)
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: topic.MaxData})
	if err != nil {
		t.Skipf("needs 256 MiB of shared memory: %v", err)
	}
	defer func() { _ = p.Close() }()
	s, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	l, err := p.Loan(ctx, topic.Message{Subject: "big"}, topic.MaxData)
	if err != nil {
		t.Fatal(err)
	}
	l.Bytes()[0], l.Bytes()[topic.MaxData-1] = 1, 2
	if err := l.Publish(topic.MaxData); err != nil {
		t.Fatal(err)
	}
	it, err := s.Borrow(ctx)
	if err != nil || len(it.Data) != topic.MaxData || it.Data[0] != 1 || it.Data[topic.MaxData-1] != 2 {
		t.Fatalf("%d bytes, %v", len(it.Data), err)
	}
	if err := p.Publish(ctx, topic.Message{Subject: "big", Data: it.Data}); err != nil {
		t.Fatal(err)
	}
	if !s.Release() {
		t.Error("not whole")
	}
	it, err = s.Next(ctx)
	if err != nil || len(it.Data) != topic.MaxData || it.Data[topic.MaxData-1] != 2 {
		t.Fatalf("%d bytes, %v", len(it.Data), err)
	}
}
