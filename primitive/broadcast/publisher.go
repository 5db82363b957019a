// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Publisher is the one who writes. Publish, PublishBatch, Batch, Loan, Commit
// and Abort belong to one goroutine at a time; the rest may be called by any.
type Publisher struct {
	now  func() int64                // immutable, as is wait
	wait func(context.Context) error // nil: poll

	mu     sync.Mutex // guards what follows; let go of while waiting
	seg    *shm.Segment
	m      *shm.Mapping
	w      words
	data   []byte // the ring, twice
	ring   uint64
	tail   uint64 // authoritative, as are the others
	intent uint64
	last   uint64
	seq    uint64
	back   uint32

	handles  []*Handle
	reliable int    // how many of them are
	floor    uint64 // no reliable subscriber needs a byte before it, as last looked
	fallen   []*Handle

	nap    uint32
	busy   bool               // somebody waits within Publish or Loan
	cancel context.CancelFunc // ends that wait
	lent   uint64             // size of the record on loan; 0: none
	closed bool
	poll   poll
}

// NewPublisher makes a segment, sealed so that nobody else can ever write it.
func NewPublisher(cfg Config) (*Publisher, error) {
	if cfg.Ring == 0 {
		cfg.Ring = DefaultRing
	}
	if err := checkRing(cfg.Ring); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = monotonic()
	}
	if cfg.Epoch == 0 {
		cfg.Epoch = uint64(monotonic()())
	}
	seg, err := shm.Create("parley-broadcast", SegmentSize(cfg.Ring))
	if err != nil {
		return nil, err
	}
	m, err := seg.MapTwice(os.Getpagesize(), true)
	if err != nil {
		_ = seg.Close()
		return nil, err
	}
	p := &Publisher{
		now: cfg.Now, wait: cfg.Wait, seg: seg, m: m, w: wordsOf(m.Head), data: m.Tail, ring: uint64(cfg.Ring),
		tail: cfg.start, intent: cfg.start, last: cfg.start, seq: cfg.first, floor: cfg.start,
	}
	p.format(cfg)
	if err := seg.Seal(); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// format writes the words before anybody can see them; magic is the last.
func (p *Publisher) format(cfg Config) {
	p.w.ring.Store(p.ring)
	p.w.epoch.Store(cfg.Epoch)
	p.w.start.Store(cfg.start)
	p.w.first.Store(cfg.first)
	p.w.tail.Store(p.tail)
	p.w.last.Store(p.last)
	p.w.intent.Store(p.intent)
	for _, m := range p.w.marks {
		m.Store(noMark)
	}
	p.w.magic.Store(magic)
}

// Segment is what subscribers are given a descriptor of. It belongs to the
// Publisher.
func (p *Publisher) Segment() *shm.Segment { return p.seg }

// Ring is the size of the ring in bytes.
func (p *Publisher) Ring() int { return int(p.ring) }

// Publish copies b into the ring and gives it to everybody. It waits only for
// Reliable subscribers, each no longer than its patience, and not past ctx,
// whose end leaves b unpublished.
func (p *Publisher) Publish(ctx context.Context, b []byte) error {
	if err := p.fits(len(b)); err != nil {
		return err
	}
	size := recordSize(len(b))
	if err := p.begin(ctx, size); err != nil {
		return err
	}
	p.claim(size)
	copy(p.put(p.tail, len(b), p.now()), b)
	p.publish(p.tail, size)
	p.finish()
	return nil
}

// fits says whether n bytes can be a record.
func (p *Publisher) fits(n int) error {
	if n >= 0 && n <= MaxRecord(int(p.ring)) {
		return nil
	}
	return fault.New(fault.TooLarge, "publish", "", fmt.Errorf("%d bytes, at most %d", n, MaxRecord(int(p.ring)))).
		WithHint("a record may take about a quarter of the ring: make the ring larger")
}

// begin takes the lock and makes room for size bytes. On error the lock is
// not held.
func (p *Publisher) begin(ctx context.Context, size uint64) error {
	p.mu.Lock()
	err := p.usable()
	if err == nil {
		err = p.room(ctx, size)
	}
	if err != nil {
		p.finish()
	}
	return err
}

func (p *Publisher) usable() error {
	switch {
	case p.closed:
		return errClosed
	case p.busy, p.lent != 0:
		return errBusy
	}
	return nil
}

var (
	errClosed = fault.New(fault.Closed, "publish", "", nil)
	errBusy   = fault.New(fault.InUse, "publish", "", errors.New("another goroutine publishes, or a loan is out"))
)

// claim says that n bytes from tail on are about to be overwritten. The load
// after the store keeps the writes that follow from passing it: a store that
// releases, then a load that acquires, both sequentially consistent.
func (p *Publisher) claim(n uint64) {
	if end := p.tail + n; ahead(end, p.intent) > 0 {
		p.intent = end
		p.w.intent.Store(end)
		_ = p.w.intent.Load()
	}
}

// put writes the header of a record of n bytes and returns where they go.
func (p *Publisher) put(at uint64, n int, now int64) []byte {
	i := at & (p.ring - 1)
	rec := p.data[i : i+headerSize+uint64(n)]
	header{length: uint32(n), back: p.back, seq: p.seq, time: now}.put(rec)
	p.back = uint32(recordSize(n))
	p.seq++
	return rec[headerSize:]
}

// publish gives out the size bytes from tail on, whose newest record starts
// at newest, and wakes who sleeps. The store of tail is a full fence.
func (p *Publisher) publish(newest, size uint64) {
	handOver()
	was := eighth(p.tail, p.ring)
	p.tail += size
	p.last = newest
	if now := eighth(p.tail, p.ring); now != was {
		p.w.marks[now%numMarks].Store(p.tail)
	}
	p.w.tail.Store(p.tail)
	p.w.last.Store(newest)
	for _, h := range p.handles {
		h.rouse()
	}
}

// finish lets go of the lock, unmaps what a Close meanwhile left, and tells
// of those who were dropped.
func (p *Publisher) finish() {
	fallen := p.fallen
	p.fallen = nil
	p.settle()
	p.mu.Unlock()
	for _, h := range fallen {
		if h.terms.Dropped != nil {
			h.terms.Dropped(h, h.why)
		}
	}
}

// settle unmaps once nobody uses the memory any more. The caller holds mu.
func (p *Publisher) settle() {
	if p.closed && !p.busy && p.lent == 0 {
		_ = p.m.Unmap()
		p.data = nil
	}
}

// Close tells the subscribers that nothing follows, lets them go and gives
// the memory back, or leaves that to the Publish, Commit or Abort that is yet
// to come. Subscribers keep what they have not read. It is idempotent.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	p.w.state.Store(stateEnded)
	for len(p.handles) > 0 {
		h := p.handles[0]
		h.rouse()
		p.remove(h, errClosed)
	}
	if p.cancel != nil {
		p.cancel()
	}
	p.settle()
	return p.seg.Close()
}
