// SPDX-License-Identifier: Apache-2.0

package topictest

import (
	"bytes"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

func loans(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{})
	h, err := topic.NewHeaders("k", "v")
	if err != nil {
		s.Fatal(err)
	}
	for _, n := range []int{0, 1, 1000, 1 << 19} {
		l := s.lend(p, topic.Message{Subject: "in.place", Headers: h}, n)
		for i := range l.Bytes() {
			l.Bytes()[i] = byte(n + i)
		}
		want := append([]byte(nil), l.Bytes()[:n-n/3]...)
		s.kind(l.Publish(n+1), fault.Invalid)
		if err := l.Publish(n - n/3); err != nil {
			s.Fatal(err)
		}
		s.kind(l.Publish(0), fault.Invalid)
		l.Abort()
		it := s.next(sub)
		if v, _ := it.Headers.Get("k"); !bytes.Equal(it.Data, want) || it.Subject != "in.place" || v != "v" {
			s.Errorf("%d bytes on %q became %d, header %q", len(want), it.Subject, len(it.Data), v)
		}
	}
	l := s.lend(p, topic.Message{}, 10)
	l.Abort()
	l.Abort()
	s.publish(p, "", "after")
	if it := s.next(sub); string(it.Data) != "after" || it.Lost != 0 {
		s.Errorf("after an aborted loan %q with %d lost", it.Data, it.Lost)
	}
	_, err = p.Loan(s.ctx, topic.Message{Subject: "*"}, 1)
	s.kind(err, fault.Invalid)
}

func (s *stage) lend(p topic.Publisher, m topic.Message, n int) topic.Loan {
	s.Helper()
	l, err := p.Loan(s.ctx, m, n)
	if err != nil {
		s.Fatal(err)
	}
	if len(l.Bytes()) != n {
		s.Fatalf("%d bytes were lent, want %d", len(l.Bytes()), n)
	}
	return l
}

func borrow(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	for _, policy := range topic.Policies() {
		sub := s.subscribe(topic.SubscribeConfig{Policy: policy, Subject: "b"})
		s.publish(p, "a", "other")
		s.publish(p, "b", "lent")
		it, err := sub.Borrow(s.ctx)
		if err != nil || string(it.Data) != "lent" || it.Subject != "b" {
			s.Fatalf("%v: %q on %q, %v", policy, it.Data, it.Subject, err)
		}
		_, err = sub.Next(s.ctx)
		s.kind(err, fault.InUse)
		_, err = sub.Borrow(s.ctx)
		s.kind(err, fault.InUse)
		if !sub.Release() || sub.Release() {
			s.Errorf("%v: one release is right, not two", policy)
		}
		s.publish(p, "b", "next")
		if it := s.next(sub); string(it.Data) != "next" {
			s.Errorf("%v: then %q", policy, it.Data)
		}
		s.publish(p, "b", "kept")
		if it, err = sub.Borrow(s.ctx); err != nil {
			s.Fatal(err)
		}
		if err := sub.Close(); err != nil { // what is borrowed stays until it is released
			s.Error(err)
		}
		if string(it.Data) != "kept" || !sub.Release() {
			s.Errorf("%v: %q after Close", policy, it.Data)
		}
	}
}

// borrowOverwritten: under Lossy the publisher goes on over what is borrowed,
// and Release says so. Where Borrow copies it is whole.
func borrowOverwritten(s *stage) {
	p := s.publisher(small)
	sub := s.subscribe(topic.SubscribeConfig{})
	if err := p.Publish(s.ctx, numbered(0)); err != nil {
		s.Fatal(err)
	}
	if _, err := sub.Borrow(s.ctx); err != nil {
		s.Fatal(err)
	}
	const n = 100
	for i := range uint64(n) {
		if err := p.Publish(s.ctx, numbered(i+1)); err != nil {
			s.Fatal(err)
		}
	}
	whole := sub.Release()
	if whole == s.engine.TopicCapabilities().Borrow {
		s.Errorf("whole: %v", whole)
	}
	var received, lost uint64
	if whole {
		received++
	}
	for received+lost < n+1 {
		it := s.next(sub)
		received, lost = received+1, lost+it.Lost
	}
	if st := sub.Stats(); st.Received != received || st.Lost != lost || received+lost != n+1 {
		s.Errorf("%d received and %d lost, and the counters say %+v", received, lost, st)
	}
}
