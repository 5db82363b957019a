// SPDX-License-Identifier: Apache-2.0

package topictest

import (
	"context"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// subscriberFirst: who subscribed before there was a publisher gets its items
// from the first on.
func subscriberFirst(s *stage) {
	early := s.subscribe(topic.SubscribeConfig{})
	if early.Stats().Attached {
		s.Error("attached to nobody")
	}
	s.nothing(early)
	waiting := s.subscribe(topic.SubscribeConfig{Subject: "a"})
	got := make(chan string)
	go func() { // it waits, most likely, when the publisher comes
		defer close(got)
		for range 2 {
			it, err := waiting.Next(s.ctx)
			if err != nil {
				s.Error(err)
				return
			}
			got <- string(it.Data)
		}
	}()
	p := s.publisher(topic.PublisherConfig{})
	s.publish(p, "a", "1")
	s.publish(p, "b", "2")
	s.publish(p, "a", "3")
	s.expect(early, 0, "1", "2", "3")
	if st := early.Stats(); !st.Attached || st.Publishers != 1 {
		s.Errorf("%+v", st)
	}
	for _, want := range []string{"1", "3"} {
		if data := <-got; data != want {
			s.Errorf("who waited got %q, want %q", data, want)
		}
	}
}

// publisherReturns: its items come in order over both of its lives, in two
// epochs, and nothing is lost between them.
func publisherReturns(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{})
	idle := s.subscribe(topic.SubscribeConfig{Policy: topic.Reliable})
	s.publish(p, "x", "1")
	first := s.next(sub)
	s.publish(p, "x", "2")
	if err := p.Close(); err != nil {
		s.Fatal(err)
	}
	p = s.publisher(topic.PublisherConfig{})
	s.publish(p, "x", "3")
	s.publish(p, "x", "4")
	s.expect(sub, 0, "2", "3", "4")
	s.expect(idle, 0, "1", "2", "3", "4")
	s.publish(p, "x", "5")
	it := s.next(sub)
	if it.Epoch == first.Epoch || it.Seq != 2 {
		s.Errorf("epochs %d and %d, item %d", first.Epoch, it.Epoch, it.Seq)
	}
	if st := sub.Stats(); st.Publishers != 2 {
		s.Errorf("%+v", st)
	}
}

func endOnClose(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{EndOnClose: true})
	s.publish(p, "x", "1")
	s.publish(p, "x", "2")
	for range 2 {
		if err := p.Close(); err != nil {
			s.Fatal(err)
		}
	}
	s.expect(sub, 0, "1", "2")
	s.eof(sub)
	s.kind(p.Publish(s.ctx, topic.Message{}), fault.Closed)
	_, err := p.Loan(s.ctx, topic.Message{}, 1)
	s.kind(err, fault.Closed)
}

// onePublisher: another one is refused, in words that say who has it, until
// the first has gone.
func onePublisher(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	other := s.handle()
	second, err := other.Topic(name).Publisher(s.ctx, topic.PublisherConfig{})
	if other.TopicCapabilities().ManyPublishers {
		if err != nil {
			s.Fatal(err)
		}
		_ = second.Close()
		return
	}
	s.kind(err, fault.InUse)
	if err := p.Close(); err != nil {
		s.Fatal(err)
	}
	second, err = other.Topic(name).Publisher(s.ctx, topic.PublisherConfig{})
	if err != nil {
		s.Fatal(err)
	}
	if err := second.Close(); err != nil {
		s.Error(err)
	}
}

// closed: Close ends a Next that waits, for an item or for a publisher, and
// an engine's Close ends all that it handed out.
func closed(s *stage) {
	ended := func(sub topic.Subscription, end func() error) {
		s.Helper()
		result := make(chan error)
		go func() {
			_, err := sub.Next(s.ctx)
			result <- err
		}()
		if err := end(); err != nil {
			s.Error(err)
		}
		s.kind(<-result, fault.Closed)
		_, err := sub.Next(s.ctx)
		s.kind(err, fault.Closed)
	}
	waiting := s.subscribe(topic.SubscribeConfig{})
	ended(waiting, waiting.Close)

	p := s.publisher(topic.PublisherConfig{})
	for _, spin := range []topic.Spin{topic.SpinAuto, topic.SpinOff, topic.SpinAlways} {
		sub := s.subscribe(topic.SubscribeConfig{Spin: spin})
		ended(sub, sub.Close)
		if err := sub.Close(); err != nil {
			s.Error(err)
		}
	}
	other := s.handle()
	sub, err := other.Topic(name).Subscribe(s.ctx, topic.SubscribeConfig{})
	if err != nil {
		s.Fatal(err)
	}
	ended(sub, other.Close)
	_, err = other.Topic(name).Subscribe(s.ctx, topic.SubscribeConfig{})
	s.kind(err, fault.Closed)

	if err := s.engine.Close(); err != nil {
		s.Error(err)
	}
	s.kind(p.Publish(s.ctx, topic.Message{}), fault.Closed)
	_, err = s.engine.Topic(name).Publisher(s.ctx, topic.PublisherConfig{})
	s.kind(err, fault.Closed)
}

func mistakes(s *stage) {
	for _, bad := range []string{"", ".x", "a/b", "a b", "-x"} {
		_, err := s.engine.Topic(bad).Publisher(s.ctx, topic.PublisherConfig{})
		s.kind(err, fault.Invalid)
		_, err = s.engine.Topic(bad).Subscribe(s.ctx, topic.SubscribeConfig{})
		s.kind(err, fault.Invalid)
	}
	for _, cfg := range []topic.SubscribeConfig{{Last: -1}, {Policy: 9}, {Subject: "a..b"}, {Subject: ">.a"}, {Patience: -1}, {Name: string(make([]byte, 100))}} {
		_, err := s.engine.Topic(name).Subscribe(s.ctx, cfg)
		s.kind(err, fault.Invalid)
	}
	for _, cfg := range []topic.PublisherConfig{{MaxData: topic.MaxData + 1}, {Ring: 3 << 20}, {MaxData: 1 << 20, Ring: 1 << 20}} {
		_, err := s.engine.Topic(name).Publisher(s.ctx, cfg)
		s.kind(err, fault.Invalid)
	}
	p := s.publisher(topic.PublisherConfig{MaxPatience: -1})
	for _, subject := range []string{"a.*", ">", "a..b", "a b", "."} {
		s.kind(p.Publish(s.ctx, topic.Message{Subject: subject}), fault.Invalid)
	}
	_, err := p.Loan(s.ctx, topic.Message{Data: []byte("x")}, 5)
	s.kind(err, fault.Invalid)
	_, err = s.engine.Topic(name).Subscribe(s.ctx, topic.SubscribeConfig{Policy: topic.Reliable})
	s.kind(err, fault.Unsupported)
	s.publish(p, "a", "still works")
}

func admin(s *stage) {
	p := s.publisher(topic.PublisherConfig{MaxSubscribers: 2})
	a, ok := p.(topic.Admin)
	if ok != s.engine.TopicCapabilities().Admin {
		s.Errorf("it is Admin: %v, against its capabilities", ok)
	}
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Millisecond)
	defer cancel()
	s.kind(a.AwaitSubscribers(ctx, 1), fault.Timeout)
	one := s.subscribe(topic.SubscribeConfig{Name: "one"})
	two := s.subscribe(topic.SubscribeConfig{Name: "two", Policy: topic.Reliable})
	if err := a.AwaitSubscribers(s.ctx, 2); err != nil {
		s.Fatal(err)
	}
	_, err := s.handle().Topic(name).Subscribe(s.ctx, topic.SubscribeConfig{})
	s.kind(err, fault.Exhausted)
	subs := a.Subscribers()
	if len(subs) != 2 || subs[0].Name != "one" || subs[1].Name != "two" || subs[1].Policy != topic.Reliable || subs[0].ID == subs[1].ID {
		s.Fatalf("the subscribers are %+v", subs)
	}
	s.publish(p, "x", "1")
	if err := a.Drop(subs[0].ID); err != nil {
		s.Fatal(err)
	}
	s.kind(a.Drop(subs[0].ID), fault.NotFound)
	s.publish(p, "x", "2")
	s.expect(two, 0, "1", "2")
	if it := s.next(one); string(it.Data) != "1" {
		s.Errorf("got %q", it.Data)
	}
}
