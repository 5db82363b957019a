// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/topic"
)

// borrowRole borrows an item of mem://desk, topic n, by a policy, and keeps it.
func borrowRole(p *proctest.Self) error {
	ctx, cancel := roleContext()
	defer cancel()
	sub, err := subscribeN(ctx, p, topic.SubscribeConfig{Patience: time.Hour})
	if err != nil {
		return err
	}
	if _, err := sub.Borrow(ctx); err != nil {
		return err
	}
	p.Say("borrowed")
	_, _ = p.Hear()
	return nil
}

// TestKilledBorrowers: whoever is killed while it has something borrowed is
// not waited for, although under reliable the publisher would wait an hour.
func TestKilledBorrowers(t *testing.T) {
	e, ctx := desk(t), limited(t)
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: 4 << 10, Ring: 64 << 10, MaxPatience: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for i, pol := range topic.Policies() {
		child := proctest.Start(t, "borrow", pol.String())
		child.Expect("subscribed")
		if err := p.Publish(ctx, topic.Message{Data: []byte("kept")}); err != nil {
			t.Fatal(err)
		}
		child.Expect("borrowed")
		go child.Kill()
		for range 200 { // the ring many times over
			if err := p.Publish(ctx, topic.Message{Data: make([]byte, 4<<10)}); err != nil {
				t.Fatalf("%v: %v", pol, err)
			}
		}
		if st := p.Stats(); st.Dropped != 0 || st.Attached != uint64(i)+1 {
			t.Errorf("%v: the publisher counts %+v", pol, st)
		}
	}
}

// TestCountedOnceSubscribed: whoever has subscribed is counted, although the
// publisher does its part of it on a goroutine of its own.
func TestCountedOnceSubscribed(t *testing.T) {
	e, ctx := desk(t), limited(t)
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: 1 << 10, Ring: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for i := range uint64(500) {
		s, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if st := p.Stats(); st.Attached != i+1 {
			t.Errorf("the publisher counts %+v after %d have subscribed", st, i+1)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// lendRole publishes one item, then dies when it is told to, with half of the
// largest there is written.
func lendRole(p *proctest.Self) error {
	e, err := openRole("mem://desk", Config{})
	if err != nil {
		return err
	}
	ctx, cancel := roleContext()
	defer cancel()
	pub, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: topic.MaxData})
	if err != nil {
		p.Sayf("%v", fault.KindOf(err))
		return nil
	}
	if err := pub.(topic.Admin).AwaitSubscribers(ctx, 1); err != nil {
		return err
	}
	if err := pub.Publish(ctx, topic.Message{Subject: "a", Data: []byte("whole")}); err != nil {
		return err
	}
	l, err := pub.Loan(ctx, topic.Message{Subject: "a"}, topic.MaxData)
	if err != nil {
		return err
	}
	for i := range l.Bytes()[:topic.MaxData/2] {
		l.Bytes()[i] = 1
	}
	p.Say("half")
	_, _ = p.Hear()
	return nil
}

// TestKilledWithinALoan: a publisher that dies with half of 64 MiB written
// leaves what it had published, nothing torn, and a name that is free.
func TestKilledWithinALoan(t *testing.T) {
	e, ctx := desk(t), limited(t)
	s, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{Policy: topic.Reliable})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	child := proctest.Start(t, "lend")
	got := make(chan error, 1)
	go func() {
		it, err := s.Next(ctx)
		if err == nil && (string(it.Data) != "whole" || it.Lost != 0) {
			err = fmt.Errorf("%q after %d lost", it.Data, it.Lost)
		}
		got <- err
	}()
	if said := child.Hear(); said == fault.Exhausted.Error() {
		t.Skip("needs 256 MiB of shared memory")
	} else if said != "half" {
		t.Fatal(said)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	child.Kill()
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Publish(ctx, topic.Message{Subject: "a", Data: []byte("next")}); err != nil {
		t.Fatal(err)
	}
	it, err := s.Next(ctx)
	if err != nil || !bytes.Equal(it.Data, []byte("next")) || it.Seq != 0 || it.Lost != 0 {
		t.Errorf("%q, number %d after %d lost, %v", it.Data, it.Seq, it.Lost, err)
	}
	if st := s.Stats(); st.Publishers != 2 || st.Received != 2 {
		t.Errorf("%+v", st)
	}
}

// TestBrokenSocket: a subscriber whose socket breaks while its publisher lives
// finds it again, and gets each item once.
func TestBrokenSocket(t *testing.T) {
	for name, read := range map[string]func(context.Context, topic.Subscription) (topic.Item, error){
		"Next": func(ctx context.Context, s topic.Subscription) (topic.Item, error) { return s.Next(ctx) },
		"Borrow": func(ctx context.Context, s topic.Subscription) (topic.Item, error) {
			it, err := s.Borrow(ctx)
			if err == nil && !s.Release() {
				err = fault.Protocol
			}
			return it, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, ctx := desk(t), limited(t)
			p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: 1 << 10, Ring: 64 << 10})
			if err != nil {
				t.Fatal(err)
			}
			s, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{Policy: topic.Reliable})
			if err != nil {
				t.Fatal(err)
			}
			next := uint64(0)
			for range 5 {
				for i := range 10 { // of one subject, then of another
					if err := p.Publish(ctx, topic.Message{Subject: fmt.Sprint("s", i/5), Data: []byte("x")}); err != nil {
						t.Fatal(err)
					}
				}
				for range 10 {
					it, err := read(ctx, s)
					if err != nil || it.Seq != next || it.Lost != 0 {
						t.Fatalf("item %d after %d lost, want %d: %v", it.Seq, it.Lost, next, err)
					}
					next++
				}
				breakSockets(p.(*publisher))
				had := s.Stats().Publishers
				for s.Stats().Publishers == had { // until it has noticed
					short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
					if it, err := read(short, s); fault.KindOf(err) != fault.Timeout || ctx.Err() != nil {
						t.Fatalf("item %d came, %v", it.Seq, err)
					}
					cancel()
				}
			}
			if st := s.Stats(); st.Received != next || st.Lost != 0 || st.Publishers != 6 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func breakSockets(p *publisher) {
	p.mu.Lock()
	links := slices.Collect(maps.Values(p.links))
	p.mu.Unlock()
	for _, l := range links {
		_ = l.Close()
	}
}

// TestManySubscribers: two hundred at once each get everything, and one more
// than there is room for is told.
func TestManySubscribers(t *testing.T) {
	const many = 200
	e, ctx := desk(t), limited(t)
	p, err := e.Topic("n").Publisher(ctx, topic.PublisherConfig{MaxData: 1 << 10, Ring: 16 << 10, MaxSubscribers: many, MaxPatience: roleTime})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	subs := make([]topic.Subscription, many)
	for i := range subs {
		if subs[i], err = e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{Policy: topic.Reliable, Patience: roleTime}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = subs[i].Close() }()
	}
	if _, err := e.Topic("n").Subscribe(ctx, topic.SubscribeConfig{}); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one more: %v", err)
	}
	done := make(chan error, many)
	for _, s := range subs {
		go func() { done <- readNumbered(t, s, 100) }()
	}
	for i := range 100 {
		if err := p.Publish(ctx, topic.Message{Data: bytes.Repeat([]byte{byte(i)}, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	for range subs {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if st := p.Stats(); st.Dropped != 0 || st.Subscribers != many {
		t.Errorf("%+v", st)
	}
}

func readNumbered(t *testing.T, s topic.Subscription, n int) error {
	for i := range n {
		it, err := s.Next(t.Context())
		if err != nil {
			return err
		}
		if it.Lost != 0 || it.Seq != uint64(i) || len(it.Data) != 1000 || it.Data[999] != byte(i) {
			return fmt.Errorf("item %d after %d lost, want %d", it.Seq, it.Lost, i)
		}
	}
	return nil
}

// TestManyTopics: a hundred topics of one engine (PARLEY_TOPICS), each with a
// publisher and a subscriber of its own, do not get mixed up, and end with it.
func TestManyTopics(t *testing.T) {
	many := envInt("PARLEY_TOPICS", 100)
	e, ctx := desk(t), limited(t)
	for i := range many {
		name := fmt.Sprint("t", i)
		s, err := e.Topic(name).Subscribe(ctx, topic.SubscribeConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		p, err := e.Topic(name).Publisher(ctx, topic.PublisherConfig{MaxData: 1 << 10, Ring: 16 << 10})
		if err != nil {
			t.Fatal(i, err)
		}
		if err := p.Publish(ctx, topic.Message{Data: []byte(name)}); err != nil {
			t.Fatal(i, err)
		}
		if it, err := s.Next(ctx); err != nil || string(it.Data) != name || it.Lost != 0 {
			t.Fatalf("%s: %q after %d lost, %v", name, it.Data, it.Lost, err)
		}
	}
	if err := e.Close(); err != nil { // the publishers, too
		t.Error(err)
	}
	if _, err := e.Topic("t0").Publisher(ctx, topic.PublisherConfig{}); fault.KindOf(err) != fault.Closed {
		t.Errorf("after Close: %v", err)
	}
}
