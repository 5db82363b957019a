// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Defaults of Config, and the most frames of a pool.
const (
	DefaultSize        = 1 << 20
	DefaultOwn         = 2
	DefaultReceivers   = 4
	DefaultPerReceiver = 2
	MaxFrames          = 4096
)

// Config says how large a pool is: Own + Receivers × PerReceiver frames, so
// that receivers that never release anything cannot take the owner's away.
// Each is made when it is first needed. The zero value works.
type Config struct {
	Size        int // of each frame, in bytes. Default 1 MiB.
	Own         int // frames that the owner always finds. Default 2.
	Receivers   int // links at a time. Default 4.
	PerReceiver int // frames that one receiver may hold. Default 2.
}

func (c Config) withDefaults() Config {
	for _, v := range []struct {
		field    *int
		standard int
	}{{&c.Size, DefaultSize}, {&c.Own, DefaultOwn}, {&c.Receivers, DefaultReceivers}, {&c.PerReceiver, DefaultPerReceiver}} {
		if *v.field == 0 {
			*v.field = v.standard
		}
	}
	return c
}

// frames is how many there may be, 0 if that is out of bounds.
func (c Config) frames() int {
	if c.Size < 0 || min(c.Own, c.Receivers, c.PerReceiver) < 0 || max(c.Own, c.Receivers, c.PerReceiver) > MaxFrames {
		return 0
	}
	if n := int64(c.Own) + int64(c.Receivers)*int64(c.PerReceiver); n <= MaxFrames {
		return int(n)
	}
	return 0
}

// Stats counts what a pool has done since it was made, and what it has.
type Stats struct {
	Made    int    // frames with memory
	Free    int    // of these, nobody holds
	Links   int    // receivers attached
	Taken   uint64 // frames taken
	Waited  uint64 // calls of Take that found none
	Failed  uint64 // calls of TryTake that found none
	Sent    uint64 // frames lent, once a receiver
	Refused uint64 // frames not lent, because the receiver held its share
}

// Pool is the owner's. All methods may be called from many goroutines at once.
type Pool struct {
	name string     // immutable
	cfg  Config     // immutable
	free chan *slot // immutable; has room for every frame
	done chan struct{}

	mu     sync.Mutex
	made   int                // guarded by mu
	links  map[*Link]struct{} // guarded by mu
	closed bool               // guarded by mu
	stats  Stats              // guarded by mu; the counters only
}

// NewPool makes a pool. name is for people who read /proc/PID/maps. Figures
// below zero, or more than MaxFrames frames, are fault.Invalid.
func NewPool(name string, cfg Config) (*Pool, error) {
	cfg = cfg.withDefaults()
	n := cfg.frames()
	if n == 0 {
		return nil, fault.New(fault.Invalid, "make pool of frames", name, fmt.Errorf("%+v: 1 to %d frames are allowed", cfg, MaxFrames))
	}
	return &Pool{name: name, cfg: cfg, free: make(chan *slot, n), done: make(chan struct{}), links: map[*Link]struct{}{}}, nil
}

// Take returns a frame that nobody holds, and waits for one if there is none,
// which is so only while the owner itself holds Own frames or more. It is
// fault.Exhausted if there is no memory for one, and fault.Closed once the
// pool is.
func (p *Pool) Take(ctx context.Context) (*Frame, error) {
	f, err := p.try(func(s *Stats) { s.Waited++ })
	if f != nil || err != nil {
		return f, err
	}
	select {
	case s := <-p.free:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.hand(s)
	case <-ctx.Done():
		return nil, fault.Wrap("take frame", p.name, ctx.Err())
	case <-p.done:
		return nil, p.errClosed("take frame")
	}
}

// TryTake is Take, but fault.Exhausted where that would wait.
func (p *Pool) TryTake() (*Frame, error) {
	f, err := p.try(func(s *Stats) { s.Failed++ })
	if f == nil && err == nil {
		err = fault.New(fault.Exhausted, "take frame", p.name, fmt.Errorf("all %d frames are held", cap(p.free))).WithHint("release some, or raise Config.Own")
	}
	return f, err
}

// try returns a free frame or makes one; neither, and none is counted, if all
// there may be are held.
func (p *Pool) try(none func(*Stats)) (*Frame, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case s := <-p.free:
		return p.hand(s)
	default:
	}
	switch {
	case p.closed:
		return nil, p.errClosed("take frame")
	case p.made == cap(p.free):
		none(&p.stats)
		return nil, nil
	}
	s, err := newSlot(p.name, uint32(p.made), p.cfg.Size)
	if err != nil {
		return nil, err
	}
	p.made++
	return p.hand(s)
}

func newSlot(name string, number uint32, size int) (*slot, error) {
	m, err := shm.NewMemory(name, size)
	if err != nil {
		return nil, err
	}
	b, err := m.Bytes()
	if err == nil {
		err = m.SealLive()
	}
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	return &slot{number: number, mem: m, bytes: b}, nil
}

// hand gives a free slot to the owner. The caller holds mu.
func (p *Pool) hand(s *slot) (*Frame, error) {
	s.holders++
	if p.closed { // since it came out of the channel
		p.drop(s)
		return nil, p.errClosed("take frame")
	}
	p.stats.Taken++
	return &Frame{pool: p, slot: s}, nil
}

// drop ends one hold of s, and with the last one frees it. The caller holds mu.
func (p *Pool) drop(s *slot) {
	if s.holders--; s.holders > 0 {
		return
	}
	if p.closed {
		_ = s.mem.Close()
		return
	}
	p.free <- s
}

// Stats returns the pool's counters.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Made, s.Free, s.Links = p.made, len(p.free), len(p.links)
	return s
}

// Close closes the links, and frees the memory of each frame once the owner
// has released it. Receivers keep what they have mapped. It is idempotent.
func (p *Pool) Close() error {
	p.mu.Lock()
	links := make([]*Link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	if !p.closed {
		p.closed = true
		close(p.done)
	}
	for len(p.free) > 0 {
		select {
		case s := <-p.free:
			_ = s.mem.Close()
		default: // a Take was faster, and closes it
		}
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range links {
		wg.Go(func() { _ = l.Close() }) // together: a receiver that does not read delays its goodbye
	}
	wg.Wait()
	return nil
}

func (p *Pool) errClosed(op string) error {
	return fault.New(fault.Closed, op, p.name, errors.New("the pool was closed"))
}
