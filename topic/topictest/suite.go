// SPDX-License-Identifier: Apache-2.0

package topictest

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// Engine is what the suite needs of an engine.
type Engine interface {
	Topic(name string) topic.Topic
	TopicCapabilities() topic.Capabilities
	Close() error
}

// Backend is what Run tests.
type Backend struct {
	// Open makes an engine in which there is nothing yet, and returns what opens
	// a handle on it, each as if in another process. The suite closes handles;
	// t's Cleanup removes the engine.
	Open func(t testing.TB) (open func() Engine)
}

// Run runs the whole suite. What a backend cannot do by its capabilities is
// checked to be refused.
func Run(t *testing.T, b Backend) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			open := b.Open(t)
			s := &stage{T: t, handle: func() Engine {
				e := open()
				t.Cleanup(func() {
					if err := e.Close(); err != nil {
						t.Errorf("closing an engine: %v", err)
					}
				})
				return e
			}}
			s.ctx, s.cancel = context.WithTimeout(context.Background(), time.Minute)
			t.Cleanup(s.cancel)
			s.engine = s.handle()
			c.run(s)
		})
	}
}

// checks is the suite.
var checks = []struct {
	name string
	run  func(*stage)
}{
	{"Order", order},
	{"Batch", batch},
	{"Subjects", subjects},
	{"Headers", headers},
	{"MixedBatch", mixedBatch},
	{"Filtered", filtered},
	{"Sizes", sizes},
	{"Last", last},
	{"LastOfASubject", lastOfASubject},
	{"Lossy", lossy},
	{"Latest", latest},
	{"LatestOfASubject", latestOfASubject},
	{"Reliable", reliable},
	{"Patience", patience},
	{"Loan", loans},
	{"Borrow", borrow},
	{"BorrowOverwritten", borrowOverwritten},
	{"SubscriberFirst", subscriberFirst},
	{"PublisherReturns", publisherReturns},
	{"EndOnClose", endOnClose},
	{"OnePublisher", onePublisher},
	{"ManyGoroutines", manyGoroutines},
	{"Waits", waits},
	{"Closed", closed},
	{"Mistakes", mistakes},
	{"Admin", admin},
}

// stage is one check's engine, with short words for what must succeed.
type stage struct {
	*testing.T
	engine Engine
	handle func() Engine // another one on the same engine
	ctx    context.Context
	cancel context.CancelFunc
}

const name = "prices"

func (s *stage) publisher(cfg topic.PublisherConfig) topic.Publisher {
	s.Helper()
	p, err := s.engine.Topic(name).Publisher(s.ctx, cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = p.Close() })
	return p
}

// subscribe is on another handle, and with a publisher there attached when it
// returns.
func (s *stage) subscribe(cfg topic.SubscribeConfig) topic.Subscription {
	s.Helper()
	sub, err := s.handle().Topic(name).Subscribe(s.ctx, cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = sub.Close() })
	return sub
}

func (s *stage) publish(p topic.Publisher, subject, data string) {
	s.Helper()
	if err := p.Publish(s.ctx, topic.Message{Subject: subject, Data: []byte(data)}); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) next(sub topic.Subscription) topic.Item {
	s.Helper()
	it, err := sub.Next(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	return it
}

// expect wants these data next, in this order, and that many lost in all.
func (s *stage) expect(sub topic.Subscription, lost uint64, data ...string) {
	s.Helper()
	var gaps uint64
	for _, want := range data {
		it := s.next(sub)
		if gaps += it.Lost; string(it.Data) != want {
			s.Fatalf("item %d is %q, want %q", it.Seq, it.Data, want)
		}
	}
	if gaps != lost || sub.Stats().Lost != lost {
		s.Errorf("%d lost, and %d by the counter, want %d", gaps, sub.Stats().Lost, lost)
	}
}

// nothing wants that no item is at hand.
func (s *stage) nothing(sub topic.Subscription) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Millisecond)
	defer cancel()
	if it, err := sub.Next(ctx); fault.KindOf(err) != fault.Timeout {
		s.Errorf("got %q and %v, want nothing in time", it.Data, err)
	}
}

func (s *stage) kind(err error, want fault.Kind) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("got %v, want %v", err, want)
	}
}

func (s *stage) eof(sub topic.Subscription) {
	s.Helper()
	for range 2 {
		if it, err := sub.Next(s.ctx); !errors.Is(err, io.EOF) {
			s.Errorf("got %q and %v, want the end", it.Data, err)
		}
	}
}
