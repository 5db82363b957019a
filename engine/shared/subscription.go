// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/topic"
)

// subscription implements topic.Subscription:
//
//	          Subscribe
//	              │ nobody there
//	attached ◀────┼─────────────▶ searching ──┐ Next
//	   │  ▲       │                   ▲  ▲    │ watches the directory
//	   │  └───────┴───────────────────┼──┴────┘
//	   │ the publisher has gone, and all of its ring was read
//	   └──────────────────────────────┘
//	   │ dropped, or the publisher broke the rules, or EndOnClose
//	   └──────▶ over: every Next returns the same error
type subscription struct {
	topic  *memTopic // immutable, as what follows
	cfg    topic.SubscribeConfig
	filter topic.Filter
	ctx    context.Context // ends at Close, or with the engine
	stop   context.CancelFunc
	closed atomic.Bool

	mu       sync.Mutex  // held while reading
	at       *attachment // nil: searching
	waited   bool        // what the next publisher keeps was published since we began to wait
	epoch    uint64      // of the last publisher
	next     uint64      // sequence number after the last item read from it
	pending  uint64      // lost, and not yet told
	over     error       // why nothing follows
	borrowed bool        // an item is out
	lender   *attachment // whose it is; nil: it was a copy
	names    interned    // subjects
	rests    interned    // and how records begin that have them
	seen     seen
	keep     []byte // the newest item, while a newer one may follow
	merged   endless

	received, filtered, lost, publishers atomic.Uint64
	attached                             atomic.Bool
	kickMu                               sync.Mutex
	kick                                 func() // guarded by kickMu: ends a wait
	tidying                              sync.WaitGroup
}

var _ topic.Subscription = (*subscription)(nil)

// Subscribe implements topic.Topic.
func (t *memTopic) Subscribe(ctx context.Context, cfg topic.SubscribeConfig) (topic.Subscription, error) {
	if err := errors.Join(t.check("subscribe"), cfg.Check()); err != nil {
		return nil, err
	}
	if cfg.MaxRing == 0 {
		cfg.MaxRing = broadcast.MaxRing
	}
	filter, err := topic.ParseFilter(cfg.Subject)
	if err != nil {
		return nil, err
	}
	s := &subscription{topic: t, cfg: cfg, filter: filter}
	s.ctx, s.stop = context.WithCancel(t.engine.ctx)
	s.merged.closed = &s.closed
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.attach(ctx); absent(err) {
		s.waited = true
	} else if err != nil {
		s.stop()
		return nil, err
	}
	context.AfterFunc(s.ctx, s.hurry)
	return s, nil
}

// attach tries once to find the publisher.
func (s *subscription) attach(ctx context.Context) error {
	q := request{addr: s.topic.addr, cfg: s.cfg, policy: s.cfg.Policy, all: s.waited, closed: &s.closed, program: program()}
	if s.picks() {
		q.policy = topic.Lossy
	}
	if !s.filter.All() {
		q.match = func(head []byte) bool {
			subject, ok := subjectOf(head)
			return ok && s.filter.Match(s.names.get(subject))
		}
	}
	a, err := attach(ctx, q)
	if err != nil {
		return err
	}
	s.at = a
	if s.waited {
		s.catchUp(a)
	}
	s.epoch = a.Epoch()
	s.publishers.Add(1)
	s.attached.Store(true)
	s.kickMu.Lock()
	s.kick = a.kick
	s.kickMu.Unlock()
	if s.closed.Load() {
		a.kick()
	}
	return nil
}

// catchUp counts what we can no longer get of what was published while we
// waited for a publisher. One that we know already is one whose socket broke.
func (s *subscription) catchUp(a *attachment) {
	if a.Epoch() != s.epoch || s.publishers.Load() == 0 {
		s.next = 0
		s.lose(a.Before())
		return
	}
	if first := a.Seq(); int64(first-s.next) > 0 {
		s.lose(first - s.next)
	}
}

func (s *subscription) lose(n uint64) {
	if n > 0 {
		s.pending += n
		s.lost.Add(n)
	}
}

// program is what we are called unless the program says something else.
func program() string {
	name := filepath.Base(os.Args[0])
	return name[:min(len(name), 40)] + "[" + strconv.Itoa(os.Getpid()) + "]"
}

// find waits for a publisher. Only if there is none it watches for one, and the
// end of that, for which the kernel takes its time, delays no item.
func (s *subscription) find(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if err := s.attach(ctx); !absent(err) {
		return s.orClosed(err)
	}
	w := endpoint.NewWatch(s.topic.addr)
	defer s.tidying.Go(func() { _ = w.Close() })
	for {
		if err := s.attach(ctx); !absent(err) {
			return s.orClosed(err)
		}
		if err := w.Wait(ctx); err != nil {
			return s.orClosed(err)
		}
	}
}

// absent says whether an error of attach means that nobody is there.
func absent(err error) bool {
	k := fault.KindOf(err)
	return err != nil && (k == fault.Unavailable || k == fault.PeerDied)
}

// orClosed prefers to say that we are closed.
func (s *subscription) orClosed(err error) error {
	if err != nil && s.ctx.Err() != nil {
		return s.closedError()
	}
	return err
}

func (s *subscription) closedError() error {
	return fault.New(fault.Closed, "receive", s.topic.addr.String(), nil)
}

// ready makes sure that there is a publisher, and that reading is allowed.
func (s *subscription) ready(ctx context.Context) error {
	switch {
	case s.ctx.Err() != nil:
		return s.closedError()
	case s.over != nil:
		return s.over
	case s.borrowed:
		return fault.New(fault.InUse, "receive", s.topic.addr.String(), errors.New("a borrowed item has not been released"))
	case s.at == nil:
		return s.find(ctx)
	}
	return nil
}

// ended judges an error of the ring: nil means to go on searching.
func (s *subscription) ended(ctx context.Context, err error) error {
	switch kind := fault.KindOf(err); {
	case s.ctx.Err() != nil:
		return s.closedError()
	case errors.Is(err, topic.ErrDropped):
		s.over = topic.ErrDropped
	case errors.Is(err, io.EOF):
		if s.cfg.EndOnClose {
			s.over = io.EOF
		}
	case kind == fault.PeerDied:
	case ctx.Err() != nil:
		return fault.Wrap("receive", s.topic.addr.String(), context.Cause(ctx))
	default:
		s.over = subscribeError(s.topic.addr, err)
	}
	s.detach()
	s.waited = true
	return s.over
}

func (s *subscription) detach() {
	s.kickMu.Lock()
	s.kick = nil
	s.kickMu.Unlock()
	s.attached.Store(false)
	s.at.close()
	s.at = nil
}

// Stats implements topic.Subscription.
func (s *subscription) Stats() topic.SubscriptionStats {
	return topic.SubscriptionStats{
		Received: s.received.Load(), Filtered: s.filtered.Load(), Lost: s.lost.Load(),
		Publishers: s.publishers.Load(), Attached: s.attached.Load(),
	}
}

// hurry ends a wait under way, because the subscription ends.
func (s *subscription) hurry() {
	s.closed.Store(true)
	s.kickMu.Lock()
	defer s.kickMu.Unlock()
	if s.kick != nil {
		s.kick()
	}
}

// Close implements topic.Subscription.
func (s *subscription) Close() error {
	s.stop()
	s.hurry()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != nil {
		s.detach()
	}
	s.tidying.Wait()
	return nil
}

// endless is the caller's context that also ends with the subscription, for
// a ring that spins and never sleeps.
type endless struct {
	context.Context
	closed *atomic.Bool
}

// Err implements context.Context.
func (e *endless) Err() error {
	if e.closed.Load() {
		return context.Canceled
	}
	return e.Context.Err()
}

// interned keeps the strings of subjects, so that each is allocated once.
type interned struct {
	last string
	all  map[string]string
}

// maxInterned bounds how many a publisher can make us keep.
const maxInterned = 4096

func (n *interned) get(b []byte) string {
	if string(b) == n.last {
		return n.last
	}
	s, ok := n.all[string(b)]
	if !ok {
		if n.all == nil || len(n.all) >= maxInterned {
			n.all = map[string]string{}
		}
		s = string(b)
		n.all[s] = s
	}
	n.last = s
	return s
}
