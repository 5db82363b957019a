// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/wake"
	"github.com/parley-ipc/parley/primitive/shm"
)

// What is copied out of the ring at once, at most: of records together so
// much that it costs little to say so, and that they stay in the fastest cache;
// of one large record more. The longer the copying, the likelier is it
// overtaken, and the later do others get the room.
const (
	copySize  = 16 << 10
	pieceSize = 256 << 10
)

// Subscriber is one who reads. It belongs to one goroutine at a time.
type Subscriber struct {
	cfg  SubscribeConfig
	m    *shm.Mapping
	w    words // the publisher's: hostile
	data []byte
	ring uint64

	control *shm.Segment
	cm      *shm.Mapping
	c       controls

	pos     uint64 // position after what is in buf
	tail    uint64 // the newest seen
	seq     uint64 // what the first record of buf must have, or that at pos, unless some were skipped
	skipped uint64 // bytes passed over since the last record

	buf      []byte // our copy of records, the last of which may be a beginning
	off, end int    // what of it is left
	lost     uint64 // records lost before the first of them, and not yet told
	head     []byte // for Match

	borrowed borrowed
	fence    atomic.Uint32 // see settled
	nap      uint32
	woken    uint32 // the publisher's sleep that we ended last
	pacer    wake.Pacer
	poll     poll
	rested   rested
	moved    func() bool // allocated once
	gone     error       // what Wait said of the publisher
	broken   error       // the publisher broke the rules: for ever
	closed   bool
}

// Subscribe maps the segment of a ring of that size, owns fd, which came from
// a publisher who need not be honest, and makes the control page for it. All
// of the ring's memory is charged to us too if the publisher has not touched
// it: bound ring first.
func Subscribe(fd, ring int, cfg SubscribeConfig) (*Subscriber, error) {
	seg, err := shm.Receive(fd, SegmentSize(ring))
	if err != nil {
		return nil, err
	}
	defer func() { _ = seg.Close() }()
	if err := checkSubscription(ring, cfg); err != nil {
		return nil, err
	}
	m, err := seg.MapTwice(os.Getpagesize(), false)
	if err != nil {
		return nil, err
	}
	s := &Subscriber{cfg: cfg, m: m, w: wordsOf(m.Head), data: m.Tail, ring: uint64(ring), pacer: wake.NewPacer(cfg.Spin)}
	s.moved = func() bool { return s.w.tail.Load() != s.tail || s.w.state.Load()&stateEnded != 0 }
	err = s.join()
	if err == nil {
		err = s.makeControl()
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func checkSubscription(ring int, cfg SubscribeConfig) error {
	if cfg.Policy > Reliable || cfg.Last < 0 {
		return fault.New(fault.Invalid, "subscribe", "", fmt.Errorf("policy %d, the last %d", cfg.Policy, cfg.Last))
	}
	return checkRing(ring)
}

func (s *Subscriber) makeControl() (err error) {
	if s.control, err = shm.Create("parley-broadcast-control", ControlSize()); err != nil {
		return err
	}
	if s.cm, err = s.control.MapTwice(0, true); err != nil {
		return err
	}
	s.c = controlsOf(s.cm.Tail)
	s.c.epoch.Store(s.w.epoch.Load())
	s.c.cursor.Store(s.pos)
	s.c.floor.Store(s.pos)
	s.c.magic.Store(controlMagic)
	return s.control.Seal()
}

// Control is the page that the publisher must be given a descriptor of; it
// may be closed after that, and is by Close.
func (s *Subscriber) Control() *shm.Segment { return s.control }

// Epoch tells this publisher from others before and after it.
func (s *Subscriber) Epoch() uint64 { return s.w.epoch.Load() }

// Seq is the sequence number of the next record, unless some are lost.
func (s *Subscriber) Seq() uint64 { return s.seq }

// Before is how many records the publisher has published before that one.
func (s *Subscriber) Before() uint64 { return s.seq - s.w.first.Load() }

// Ready reports whether a record is at hand, so that Next would not wait.
func (s *Subscriber) Ready() bool { return s.off < s.end || s.w.tail.Load() != s.pos }

// Close says that we have gone, and unmaps everything, or leaves that to the
// Release of what is borrowed. Records that Next returned stay. It is
// idempotent.
func (s *Subscriber) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if s.c.state != nil {
		s.c.state.Store(stateEnded)
		s.wakePublisher(true)
	}
	var err error
	if s.control != nil {
		err = s.control.Close()
	}
	if !s.borrowed.out {
		s.unmap()
	}
	return err
}

func (s *Subscriber) unmap() {
	_ = s.m.Unmap()
	if s.cm != nil {
		_ = s.cm.Unmap()
	}
	s.data = nil
}

// usable says whether there is a point in reading on.
func (s *Subscriber) usable() error {
	switch {
	case s.closed:
		return fault.New(fault.Closed, "receive", "", nil)
	case s.borrowed.out:
		return fault.New(fault.InUse, "receive", "", errors.New("a borrowed record has not been released"))
	}
	return s.broken
}

// wrong notes that the publisher broke the rules.
func (s *Subscriber) wrong(format string, args ...any) error {
	s.broken = fault.New(fault.Protocol, "receive", "", fmt.Errorf("the publisher's ring: "+format, args...))
	return s.broken
}

// settled reports whether what was loaded from pos on, before this call, was
// whole: whether the publisher has not meant to overwrite it. The store makes
// the loads before it precede the load after it: a store that releases, then a
// load that acquires, both sequentially consistent.
func (s *Subscriber) settled(pos uint64) bool {
	s.fence.Store(1)
	return s.w.intent.Load()-pos <= s.ring
}

// advance publishes how far we are, and what we still use, which ends the
// publisher's wait if it waits for that much.
func (s *Subscriber) advance() {
	s.c.cursor.Store(s.pos)
	s.c.floor.Store(s.pos)
	s.wakePublisher(false)
}

func (s *Subscriber) wakePublisher(leaving bool) {
	nap := s.w.sleep.Load()
	if nap&1 == 0 || nap == s.woken || s.cfg.Wake == nil || !leaving && ahead(s.pos, s.w.until.Load()) < 0 {
		return
	}
	s.woken = nap
	s.cfg.Wake()
}

// pause waits until it is worth looking again. Nothing was there.
func (s *Subscriber) pause(ctx context.Context) error {
	ended := s.w.state.Load()&stateEnded != 0 // before tail: what was published before it counts
	switch {
	case s.w.tail.Load() != s.tail:
		return nil
	case ended:
		return errEnd
	case s.gone != nil:
		return s.gone
	case ctx.Err() != nil:
		return fault.Wrap("receive", "", ctx.Err())
	}
	start := time.Now()
	if d := s.streaming(start); d > 0 && !s.pacer.Awake() {
		if nap(d) {
			return nil
		}
		return fault.Wrap("receive", "", rest(ctx, d))
	}
	if s.pacer.Spin(s.moved) || s.pacer.Awake() {
		return nil
	}
	defer func() { s.pacer.Slept(time.Since(start)) }()
	if s.cfg.Wait == nil {
		return fault.Wrap("receive", "", s.poll.wait(ctx))
	}
	return s.sleep(ctx)
}

const (
	streamMin  = 64 // records
	streamTime = time.Millisecond
	napMin     = 20 * time.Microsecond
	napMax     = 250 * time.Microsecond
)

// streaming says how long to nap because records have been coming in such
// numbers that more of them are worth it: a publisher that wakes us for every
// few of them, or a processor that we spin on, gets little else done. An
// eighth of the ring may come meanwhile. One nap without a record, and it is
// over.
func (s *Subscriber) streaming(now time.Time) time.Duration {
	was := s.rested
	s.rested = rested{s.pos, s.seq, now}
	took := now.Sub(was.at)
	if s.seq-was.seq < streamMin || took > streamTime {
		return 0
	}
	d := time.Duration(float64(took) * float64(s.ring/8) / float64(s.pos-was.pos))
	if d < napMin {
		return 0
	}
	return min(d, napMax)
}

// rested is when a Subscriber last found nothing, and what it waited for.
type rested struct {
	pos, seq uint64
	at       time.Time
}
