// SPDX-License-Identifier: Apache-2.0

package topictest

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

func order(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{})
	start := time.Now()
	const n = 2000
	for i := range n {
		s.publish(p, "prices.eur", strconv.Itoa(i))
	}
	for i := range n {
		it := s.next(sub)
		if string(it.Data) != strconv.Itoa(i) || it.Subject != "prices.eur" || it.Seq != uint64(i) || it.Lost != 0 {
			s.Fatalf("item %d is %d, %q on %q, %d lost", i, it.Seq, it.Data, it.Subject, it.Lost)
		}
		if w := it.When(); w.Before(start.Add(-time.Minute)) || w.After(time.Now().Add(time.Minute)) {
			s.Fatalf("published at %v, and it is %v", w, time.Now())
		}
	}
	s.nothing(sub)
	if st := sub.Stats(); st.Received != n || st.Lost != 0 || st.Publishers != 1 || !st.Attached {
		s.Errorf("the subscription counts %+v", st)
	}
	if st := p.Stats(); st.Published != n || st.Subscribers != 1 || st.Attached != 1 {
		s.Errorf("the publisher counts %+v", st)
	}
}

func batch(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{Policy: topic.Reliable})
	const n, each = 50, 100
	ms := make([]topic.Message, each)
	items := make([]topic.Item, 37)
	var next uint64
	for i := range n {
		for k := range ms {
			ms[k] = topic.Message{Subject: "s" + strconv.Itoa(k%3), Data: fmt.Append(nil, i*each+k)}
		}
		if done, err := p.PublishBatch(s.ctx, ms); err != nil || done != each {
			s.Fatalf("%d published, %v", done, err)
		}
		for limit := uint64((i + 1) * each); next < limit; {
			got, err := sub.NextBatch(s.ctx, items)
			if err != nil {
				s.Fatal(err)
			}
			for _, it := range items[:got] {
				if it.Seq != next || string(it.Data) != strconv.Itoa(int(next)) || it.Subject != "s"+strconv.Itoa(int(next%each)%3) {
					s.Fatalf("item %d of %q is %q on %q", it.Seq, strconv.Itoa(int(next)), it.Data, it.Subject)
				}
				next++
			}
		}
	}
	ms[each/2].Data = make([]byte, 2<<20)
	done, err := p.PublishBatch(s.ctx, ms)
	if s.kind(err, fault.TooLarge); done != each/2 {
		s.Errorf("%d published before the one that is too large, want %d", done, each/2)
	}
	if got := p.Stats().Published; got != n*each+each/2 {
		s.Errorf("the publisher counts %d", got)
	}
}

func subjects(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	all := []string{"", "prices", "prices.eur", "prices.usd", "prices.eur.spot", "weather.eur"}
	for filter, want := range map[string][]string{
		"":           all,
		">":          all[1:],
		"prices":     {"prices"},
		"prices.eur": {"prices.eur"},
		"prices.*":   {"prices.eur", "prices.usd"},
		"prices.>":   {"prices.eur", "prices.usd", "prices.eur.spot"},
		"*.eur":      {"prices.eur", "weather.eur"},
		"*.*.spot":   {"prices.eur.spot"},
		"none.>":     nil,
	} {
		sub := s.subscribe(topic.SubscribeConfig{Subject: filter})
		for _, subject := range append(all, "the end", "prices.end") {
			if topic.CheckSubject(subject) == nil {
				s.publish(p, subject, subject)
			}
		}
		for _, w := range want {
			if it := s.next(sub); it.Subject != w || string(it.Data) != w || it.Lost != 0 {
				s.Errorf("%q got %q on %q, want %q", filter, it.Data, it.Subject, w)
			}
		}
		_ = sub.Close()
	}
}

func headers(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{})
	h, err := topic.NewHeaders("trace", "abc", "unit", "EUR", "trace", "second", "empty", "")
	if err != nil {
		s.Fatal(err)
	}
	ms := []topic.Message{{Subject: "a", Headers: h, Data: []byte("one")}, {Subject: "a", Data: []byte("two")}, {Headers: h, Data: nil}}
	if _, err := p.PublishBatch(s.ctx, ms); err != nil {
		s.Fatal(err)
	}
	for i, m := range ms {
		it := s.next(sub)
		if !bytes.Equal(it.Headers.Bytes(), m.Headers.Bytes()) || it.Subject != m.Subject || !bytes.Equal(it.Data, m.Data) {
			s.Errorf("item %d: %q on %q with headers %q", i, it.Data, it.Subject, it.Headers.Bytes())
		}
		if v, ok := it.Headers.Get("trace"); ok != (i != 1) || ok && v != "abc" {
			s.Errorf("item %d: trace is %q, %v", i, v, ok)
		}
	}
}

// mixedBatch: among many alike one has headers, then one is too large; those
// before it have been published.
func mixedBatch(s *stage) {
	const n, odd, bad = 60, 25, 50
	p := s.publisher(topic.PublisherConfig{MaxData: 1000})
	sub := s.subscribe(topic.SubscribeConfig{})
	h, err := topic.NewHeaders("odd", "one")
	if err != nil {
		s.Fatal(err)
	}
	ms := make([]topic.Message, n)
	for i := range ms {
		ms[i] = topic.Message{Subject: "alike", Data: []byte(strconv.Itoa(i))}
	}
	ms[bad].Data = make([]byte, 1001)
	for _, from := range []int{bad - 20, bad} { // alone among its kind, and the very first
		done, err := p.PublishBatch(s.ctx, ms[from:])
		if s.kind(err, fault.TooLarge); done != bad-from {
			s.Errorf("%d published before the one that is too large, want %d", done, bad-from)
		}
	}
	for range 20 {
		s.next(sub)
	}
	ms[odd].Headers = h
	done, err := p.PublishBatch(s.ctx, ms)
	if s.kind(err, fault.TooLarge); done != bad {
		s.Errorf("%d published before the one that is too large, want %d", done, bad)
	}
	for i, m := range ms[:bad] {
		if it := s.next(sub); it.Seq != uint64(20+i) || it.Subject != m.Subject || !bytes.Equal(it.Data, m.Data) || !bytes.Equal(it.Headers.Bytes(), m.Headers.Bytes()) {
			s.Errorf("item %d: %q on %q with headers %q", i, it.Data, it.Subject, it.Headers.Bytes())
		}
	}
	s.nothing(sub)
}

// filtered: what is of other subjects is counted, and is not lost.
func filtered(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	sub := s.subscribe(topic.SubscribeConfig{Subject: "a.*"})
	ms := make([]topic.Message, 50)
	for i := range ms {
		ms[i].Subject = "b"
	}
	if _, err := p.PublishBatch(s.ctx, ms); err != nil {
		s.Fatal(err)
	}
	for i, subject := range []string{"a.x", "b", "c", "b", "a.y"} {
		s.publish(p, subject, strconv.Itoa(i))
	}
	s.expect(sub, 0, "0", "4")
	if st := sub.Stats(); st.Received != 2 || st.Filtered != 53 || st.Lost != 0 {
		s.Errorf("%+v", st)
	}
}

// sizes: nothing, one byte, the largest, and one beyond it.
func sizes(s *stage) {
	const most = 100_000
	p := s.publisher(topic.PublisherConfig{MaxData: most})
	sub := s.subscribe(topic.SubscribeConfig{})
	for _, n := range []int{0, 1, 7, 8, 9, most - 1, most} {
		data := bytes.Repeat([]byte{byte(n)}, n)
		if err := p.Publish(s.ctx, topic.Message{Subject: "x", Data: data}); err != nil {
			s.Fatalf("%d bytes: %v", n, err)
		}
		if it := s.next(sub); !bytes.Equal(it.Data, data) {
			s.Errorf("%d bytes became %d", n, len(it.Data))
		}
	}
	s.kind(p.Publish(s.ctx, topic.Message{Data: make([]byte, most+1)}), fault.TooLarge)
	_, err := p.Loan(s.ctx, topic.Message{}, most+1)
	s.kind(err, fault.TooLarge)
	h, err := topic.NewHeaders("counts", "too")
	if err != nil {
		s.Fatal(err)
	}
	s.kind(p.Publish(s.ctx, topic.Message{Headers: h, Data: make([]byte, most-len(h.Bytes())+1)}), fault.TooLarge)
	_, err = p.Loan(s.ctx, topic.Message{Headers: h}, most-len(h.Bytes())+1)
	s.kind(err, fault.TooLarge)
	s.nothing(sub)
	if err := p.Publish(s.ctx, topic.Message{Headers: h, Data: make([]byte, most-len(h.Bytes()))}); err != nil {
		s.Error(err)
	}
	if it := s.next(sub); len(it.Data)+len(it.Headers.Bytes()) != most {
		s.Errorf("%d bytes with headers of %d", len(it.Data), len(it.Headers.Bytes()))
	}
}

func last(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	for i := range 10 {
		s.publish(p, "x", strconv.Itoa(i))
	}
	for n, want := range map[int][]string{0: {}, 1: {"9"}, 3: {"7", "8", "9"}, 10: {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}} {
		sub := s.subscribe(topic.SubscribeConfig{Last: n})
		s.expect(sub, 0, want...)
		s.nothing(sub)
	}
	sub := s.subscribe(topic.SubscribeConfig{Last: 1000})
	s.publish(p, "x", "new")
	s.expect(sub, 0, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "new")
}

func lastOfASubject(s *stage) {
	p := s.publisher(topic.PublisherConfig{})
	for i := range 30 {
		s.publish(p, []string{"a.x", "b", "a.y"}[i%3], strconv.Itoa(i))
	}
	sub := s.subscribe(topic.SubscribeConfig{Subject: "a.*", Last: 3})
	s.publish(p, "b", "30")
	s.publish(p, "a.x", "31")
	s.expect(sub, 0, "26", "27", "29", "31")
	none := s.subscribe(topic.SubscribeConfig{Subject: "c", Last: 5})
	s.publish(p, "c", "32")
	s.expect(none, 0, "32")
}
