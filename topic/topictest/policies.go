// SPDX-License-Identifier: Apache-2.0

package topictest

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// small is a publisher that keeps little, so that it overtakes who sleeps.
var small = topic.PublisherConfig{MaxData: 4 << 10, Ring: 16 << 10, MaxPatience: 20 * time.Second}

// numbered is an item of a kilobyte that says its number.
func numbered(i uint64) topic.Message {
	data := make([]byte, 1000)
	binary.LittleEndian.PutUint64(data, i)
	return topic.Message{Subject: "n", Data: data}
}

// lossy: the publisher does not wait, and each item published was received or
// counted as lost.
func lossy(s *stage) {
	p := s.publisher(small)
	sub := s.subscribe(topic.SubscribeConfig{})
	const n = 500
	var next uint64
	for i := range uint64(n) {
		if err := p.Publish(s.ctx, numbered(i)); err != nil {
			s.Fatal(err)
		}
		if i%100 == 7 {
			next = s.account(s.next(sub), next)
		}
	}
	for next < n {
		next = s.account(s.next(sub), next)
	}
	if st := sub.Stats(); st.Lost == 0 || st.Lost+st.Received != n {
		s.Errorf("of %d: %+v", n, st)
	}
}

// account checks an item of numbered against those before it.
func (s *stage) account(it topic.Item, next uint64) uint64 {
	s.Helper()
	if want := next + it.Lost; it.Seq != want || binary.LittleEndian.Uint64(it.Data) != want {
		s.Fatalf("item %d, which says %d, follows %d with %d lost", it.Seq, binary.LittleEndian.Uint64(it.Data), next, it.Lost)
	}
	return it.Seq + 1
}

func latest(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{Policy: topic.Latest})
	for i := range 100 {
		s.publish(p, "x", strconv.Itoa(i))
	}
	s.expect(sub, 99, "99")
	s.nothing(sub)
	s.publish(p, "x", "100")
	if it := s.next(sub); string(it.Data) != "100" || it.Lost != 0 {
		s.Errorf("got %q with %d lost", it.Data, it.Lost)
	}
}

func latestOfASubject(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{Policy: topic.Latest, Subject: "a"})
	for i := range 2000 {
		s.publish(p, []string{"a", "b"}[i%2], strconv.Itoa(i))
	}
	it := s.next(sub)
	if string(it.Data) != "1998" || it.Subject != "a" {
		s.Errorf("got %q on %q", it.Data, it.Subject)
	}
	s.nothing(sub)
	if st := sub.Stats(); st.Received != 1 || st.Lost != 999 || st.Filtered != 1000 || it.Lost != 999 {
		s.Errorf("%d lost before it, and in all %+v", it.Lost, st)
	}
}

// reliable: nothing is lost, however small the ring and slow the reader.
func reliable(s *stage) {
	p := s.publisher(small)
	sub := s.subscribe(topic.SubscribeConfig{Policy: topic.Reliable, Patience: 20 * time.Second})
	const n = 2000
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range uint64(n) {
			if err := p.Publish(s.ctx, numbered(i)); err != nil {
				s.Errorf("publishing %d: %v", i, err)
				return
			}
		}
	})
	for next := uint64(0); next < n; {
		it := s.next(sub)
		if it.Lost != 0 {
			s.Fatalf("%d lost before %d", it.Lost, it.Seq)
		}
		next = s.account(it, next)
	}
}

// patience: one that does not read is waited for as long as it was granted,
// then dropped by its name, and learns of it. The others get everything.
func patience(s *stage) {
	dropped := make(chan topic.Subscriber, 10)
	cfg := small
	cfg.Dropped = func(who topic.Subscriber, why error) {
		s.kind(why, fault.Timeout)
		dropped <- who
	}
	p := s.publisher(cfg)
	lazy := s.subscribe(topic.SubscribeConfig{Policy: topic.Reliable, Name: "lazy", Patience: 20 * time.Millisecond})
	busy := s.subscribe(topic.SubscribeConfig{Policy: topic.Reliable, Name: "busy", Patience: 20 * time.Second})
	var next uint64
	for i := range uint64(100) {
		if err := p.Publish(s.ctx, numbered(i)); err != nil {
			s.Fatal(err)
		}
		next = s.account(s.next(busy), next)
	}
	select {
	case who := <-dropped:
		if who.Name != "lazy" || who.Policy != topic.Reliable {
			s.Errorf("dropped %+v", who)
		}
	case <-s.ctx.Done():
		s.Fatal("nobody was dropped")
	}
	if st := p.Stats(); st.Dropped != 1 || st.Subscribers != 1 {
		s.Errorf("the publisher counts %+v", st)
	}
	for {
		_, err := lazy.Next(s.ctx)
		if errors.Is(err, topic.ErrDropped) {
			break
		}
		if err != nil {
			s.Fatal(err)
		}
	}
	_, err := lazy.Next(s.ctx)
	if !errors.Is(err, topic.ErrDropped) {
		s.Errorf("and then %v", err)
	}
	if busy.Stats().Lost != 0 {
		s.Errorf("the other lost %d", busy.Stats().Lost)
	}
}

// manyGoroutines publish at once; each one's items stay in order.
func manyGoroutines(s *stage) {
	p := s.publisher(topic.PublisherConfig{MaxPatience: 20 * time.Second})
	sub := s.subscribe(topic.SubscribeConfig{Policy: topic.Reliable, Patience: 20 * time.Second})
	const goroutines, each = 8, 200
	var wg sync.WaitGroup
	defer wg.Wait()
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				m := topic.Message{Subject: strconv.Itoa(g), Data: []byte(strconv.Itoa(i))}
				if err := s.publishEither(p, i, m); err != nil {
					s.Errorf("publishing: %v", err)
				}
			}
		})
	}
	next := map[string]int{}
	for range goroutines * each {
		it := s.next(sub)
		if string(it.Data) != strconv.Itoa(next[it.Subject]) {
			s.Fatalf("%s of goroutine %s, want %d", it.Data, it.Subject, next[it.Subject])
		}
		next[it.Subject]++
	}
}

// publishEither publishes every other one in place.
func (s *stage) publishEither(p topic.Publisher, i int, m topic.Message) error {
	if i%2 == 0 {
		return p.Publish(s.ctx, m)
	}
	l, err := p.Loan(s.ctx, topic.Message{Subject: m.Subject}, len(m.Data))
	if err != nil {
		return err
	}
	return l.Publish(copy(l.Bytes(), m.Data))
}

// waits end with their contexts.
func waits(s *stage) {
	p := s.publisher(small)
	sub := s.subscribe(topic.SubscribeConfig{Policy: topic.Reliable, Patience: 20 * time.Second})
	ctx, cancel := context.WithCancel(s.ctx)
	go cancel()
	_, err := sub.Next(ctx)
	s.kind(err, fault.Canceled)
	for err = nil; err == nil; { // until the ring is full
		ctx, cancel := context.WithTimeout(s.ctx, 20*time.Millisecond)
		err = p.Publish(ctx, numbered(0))
		cancel()
	}
	s.kind(err, fault.Timeout)
	l, err := p.Loan(ctx, topic.Message{}, 1000)
	if err == nil {
		l.Abort()
	}
	s.kind(err, fault.Canceled)
	published := p.Stats().Published
	for range published {
		s.next(sub)
	}
	s.nothing(sub)
	l, err = p.Loan(s.ctx, topic.Message{}, 10)
	if err != nil {
		s.Fatal(err)
	}
	s.kind(p.Publish(ctx, numbered(0)), fault.Canceled) // the loan keeps it waiting
	l.Abort()
	_, err = s.handle().Topic("nobody").Subscribe(s.ctx, topic.SubscribeConfig{})
	if err != nil {
		s.Error(err)
	}
}
