// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/topic"
	"github.com/parley-ipc/parley/transport"
)

// defaultRing is what is kept of what was published. It is large enough for
// several processes to take turns on one processor without losing much time,
// and small enough to stay in a cache.
const defaultRing = 4 << 20

// publisher implements topic.Publisher: a broadcast ring and the socket where
// subscribers get it.
type publisher struct {
	topic *memTopic             // immutable, as what follows
	cfg   topic.PublisherConfig // defaults filled in
	ring  *broadcast.Publisher
	addr  string
	count *endpoint.Counters

	turn   chan struct{} // holds a token while somebody publishes or has a loan
	enc    encoder       // of whoever has the turn
	kicks  chan struct{} // ends the ring's wait for a reliable subscriber
	closed chan struct{}

	published, bytes, attached, dropped, wakes atomic.Uint64

	mu      sync.Mutex
	links   map[uint64]*link // guarded by mu
	nextID  uint64           // guarded by mu
	pending int              // guarded by mu: admitted, not yet a link
	came    chan struct{}    // guarded by mu: closed when links grows

	acceptor  *acceptor.Acceptor
	hook      *hook
	wg        sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

var _ topic.Admin = (*publisher)(nil)

// Publisher implements topic.Topic.
func (t *memTopic) Publisher(ctx context.Context, cfg topic.PublisherConfig) (topic.Publisher, error) {
	if err := t.check("publish"); err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	ring, err := ringFor(cfg)
	if err != nil {
		return nil, err
	}
	authorizer := t.engine.cfg.Authorizer
	if err := authorizer.Authorize(ctx, auth.Self(), auth.Publish, t.resource()); err != nil {
		return nil, fault.Wrap("publish", t.addr.String(), err)
	}
	claim, err := endpoint.Acquire(ctx, t.addr)
	if err != nil {
		return nil, err
	}
	p := &publisher{
		topic: t, cfg: cfg, addr: t.addr.String(), count: claim.Counters(),
		turn:  make(chan struct{}, 1),
		kicks: make(chan struct{}, 1), closed: make(chan struct{}),
		links: map[uint64]*link{}, came: make(chan struct{}),
	}
	if p.ring, err = broadcast.NewPublisher(broadcast.Config{Ring: ring, Wait: p.wait, Now: wallClock}); err != nil {
		return nil, errors.Join(err, claim.Close())
	}
	p.enc.maxData, p.enc.limit = cfg.MaxData, broadcast.MaxBatch(ring)
	if err := p.listen(claim); err != nil {
		return nil, errors.Join(err, p.ring.Close(), claim.Close())
	}
	p.hook = &hook{func() { _ = p.Close() }}
	t.engine.keep(p.hook)
	return p, nil
}

// wallClock is what items carry: subscribers may be on other machines one day.
func wallClock() int64 { return time.Now().UnixNano() }

// ringFor is the ring's size, or why there is none.
func ringFor(cfg topic.PublisherConfig) (int, error) {
	invalid := func(format string, args ...any) (int, error) {
		return 0, fault.New(fault.Invalid, "publish", "", fmt.Errorf(format, args...))
	}
	if cfg.MaxData < 0 || cfg.MaxData > topic.MaxData {
		return invalid("items of %d bytes, at most %d", cfg.MaxData, topic.MaxData)
	}
	need := broadcast.MinRing
	for broadcast.MaxRecord(need) < cfg.MaxData+maxPrefix {
		need *= 2
	}
	switch {
	case cfg.Ring == 0:
		return max(defaultRing, need), nil
	case cfg.Ring < need:
		return invalid("a ring of %d bytes for items of %d, which need %d", cfg.Ring, cfg.MaxData, need)
	}
	return cfg.Ring, nil // the ring itself says if it is none
}

// listen binds the topic's socket and starts to accept.
func (p *publisher) listen(claim *endpoint.Claim) error {
	raw, err := unixconn.Listen(claim.Path(), p.addr, claim.Mode())
	if err != nil {
		return err
	}
	if err := claim.Bound(); err != nil {
		return errors.Join(err, raw.Close())
	}
	p.acceptor = acceptor.New(acceptor.Config{
		ListenConfig: transport.ListenConfig{Authorizer: auth.AuthorizerFunc(p.mayConnect), Logger: p.topic.engine.cfg.Logger},
		Raw:          raw,
		Address:      claim.Address(),
		Counters:     claim.Counters(),
		Release:      claim.Close,
		Handshake:    p.shake,
	})
	p.wg.Go(p.serve)
	return nil
}

// mayConnect turns the acceptor's question into the one of topics.
func (p *publisher) mayConnect(ctx context.Context, id auth.Identity, _ auth.Action, _ string) error {
	return p.topic.engine.cfg.Authorizer.Authorize(ctx, id, auth.Subscribe, p.topic.resource())
}

// serve takes subscribers until Close.
func (p *publisher) serve() {
	for {
		c, err := p.acceptor.AcceptConn(context.Background())
		if err != nil {
			return
		}
		p.wg.Go(c.(*link).serve)
	}
}

// wait is the ring's: until a subscriber has said something.
func (p *publisher) wait(ctx context.Context) error {
	select {
	case <-p.kicks:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *publisher) kick() {
	select {
	case p.kicks <- struct{}{}:
	default:
	}
}

// enter waits for the turn to publish.
func (p *publisher) enter(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-p.closed:
		return p.closedError()
	case <-ctx.Done():
		return fault.Wrap("publish", p.addr, context.Cause(ctx))
	}
}

func (p *publisher) leave() { <-p.turn }

func (p *publisher) closedError() error { return fault.New(fault.Closed, "publish", p.addr, nil) }

// Publish implements topic.Publisher.
func (p *publisher) Publish(ctx context.Context, m topic.Message) error {
	ms := [1]topic.Message{m}
	_, err := p.PublishBatch(ctx, ms[:])
	return err
}

// PublishBatch implements topic.Publisher.
func (p *publisher) PublishBatch(ctx context.Context, ms []topic.Message) (int, error) {
	if err := p.enter(ctx); err != nil {
		return 0, err
	}
	defer p.leave()
	done, bytes := 0, 0
	var err error
	for done < len(ms) && err == nil {
		var g group
		g, err = p.publishGroup(ctx, ms[done:])
		done, bytes = done+g.n, bytes+g.bytes
	}
	p.tally(done, bytes)
	return done, p.named(err)
}

// fewAlike is how many messages with one head are worth a group of their own.
const fewAlike = 16

// publishGroup publishes the first messages, together. With an error, those
// before the one that it is about.
func (p *publisher) publishGroup(ctx context.Context, ms []topic.Message) (g group, err error) {
	g = p.enc.alike(ms)
	if g.n < min(fewAlike, len(ms)) {
		return p.publishMixed(ctx, ms)
	}
	b, err := p.ring.Batch(ctx, g.size)
	if err != nil {
		return group{}, err
	}
	head := p.enc.head
	for i := range ms[:g.n] {
		data := ms[i].Data
		to := b.Add(len(head) + len(data))
		copy(to, head)
		copy(to[len(head):], data)
	}
	return g.after(b.Commit())
}

func (p *publisher) publishMixed(ctx context.Context, ms []topic.Message) (group, error) {
	g, bad := p.enc.mixed(ms)
	if g.n == 0 {
		return g, bad
	}
	b, err := p.ring.Batch(ctx, g.size)
	if err != nil {
		return group{}, err
	}
	for i, head := range p.enc.heads {
		to := b.Add(len(head) + len(ms[i].Data))
		copy(to, head)
		copy(to[len(head):], ms[i].Data)
	}
	if g, err = g.after(b.Commit()); err == nil {
		err = bad
	}
	return g, err
}

// after is what was published if the publication ended so.
func (g group) after(err error) (group, error) {
	if err != nil {
		return group{}, err
	}
	return g, nil
}

func (p *publisher) tally(items, bytes int) {
	p.published.Add(uint64(items))
	p.bytes.Add(uint64(bytes))
	p.count.BytesOut.Add(uint64(bytes))
}

// named gives an error of the ring the topic's address.
func (p *publisher) named(err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Addr == "" {
		c := *e
		c.Addr = p.addr
		return &c
	}
	return err
}

// Stats implements topic.Publisher.
func (p *publisher) Stats() topic.PublisherStats {
	p.mu.Lock()
	n := len(p.links)
	p.mu.Unlock()
	return topic.PublisherStats{
		Published: p.published.Load(), Bytes: p.bytes.Load(), Subscribers: n, Attached: p.attached.Load(),
		Dropped: p.dropped.Load(), Denied: p.count.Denied.Load(), Wakes: p.wakes.Load(),
	}
}

// Close implements topic.Publisher.
func (p *publisher) Close() error {
	p.closeOnce.Do(func() {
		close(p.closed)
		err := p.acceptor.Close()
		p.closeErr = errors.Join(err, p.ring.Close())
		p.mu.Lock()
		links := make([]*link, 0, len(p.links))
		for _, l := range p.links {
			links = append(links, l)
		}
		p.mu.Unlock()
		for _, l := range links {
			_ = l.Close()
		}
		p.wg.Wait()
		p.topic.engine.forget(p.hook)
	})
	return p.closeErr
}
