// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/transport"
)

// Link lends a pool's frames to the one receiver at the other end of a
// connection. All methods may be called from many goroutines at once.
//
//	attached ──Close, a cut, death, a broken rule──► ended: all it held is given back
type Link struct {
	pool  *Pool          // immutable
	conn  *message.Conn  // immutable
	gone  chan struct{}  // closed when ended
	less  chan struct{}  // immutable; has room for one: the receiver holds less than before
	queue chan *hold     // immutable; has room for PerReceiver
	work  sync.WaitGroup // listen and write

	held  map[uint32]*hold // guarded by pool.mu; nil once ended
	known map[uint32]bool  // guarded by pool.mu: the receiver was sent their memory
	err   error            // guarded by pool.mu; why it ended
}

// hold is one frame that the receiver was sent, or will be.
type hold struct {
	slot    *slot  // immutable
	message []byte // immutable
	begun   bool   // guarded by pool.mu: being written, or written
}

// Attach makes a link over t, a connection that carries files and nothing else
// but this; t is the link's if it succeeds. It is fault.Exhausted while there
// are Config.Receivers links.
//
// A receiver can see each frame that it was ever sent until it dies, also while
// others use it: those who may not see the same belong to pools of their own.
func (p *Pool) Attach(t transport.Conn) (*Link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, p.errClosed("attach receiver")
	}
	if len(p.links) == p.cfg.Receivers {
		return nil, fault.New(fault.Exhausted, "attach receiver", p.name, fmt.Errorf("%d are attached", len(p.links))).WithHint("raise Config.Receivers")
	}
	l := &Link{
		pool: p, gone: make(chan struct{}), less: make(chan struct{}, 1), queue: make(chan *hold, p.cfg.PerReceiver), held: map[uint32]*hold{}, known: map[uint32]bool{},
		conn: message.NewConn(t, message.Config{MaxSize: lendSize + MaxNote, MaxFiles: -1}),
	}
	p.links[l] = struct{}{}
	l.work.Go(l.listen)
	l.work.Go(l.write)
	return l, nil
}

// Send lends the first n bytes of f to the receiver, with a note of at most
// MaxNote bytes, and never waits: the link's own goroutine writes. The frame is
// the receiver's to read until it releases it or ends; f stays the owner's, to
// be sent elsewhere and released.
//
// A receiver that holds Config.PerReceiver frames, what it has not read yet
// included, or that still holds this one, is sent nothing: fault.Exhausted,
// counted, and the link goes on. fault.Closed means that the link has ended.
func (l *Link) Send(f *Frame, n int, note []byte) error {
	p := l.pool
	if n < 0 || n > p.cfg.Size || len(note) > MaxNote {
		return fault.New(fault.TooLarge, "send frame", p.name, fmt.Errorf("%d bytes of %d, a note of %d of at most %d", n, p.cfg.Size, len(note), MaxNote))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.pool != p || f.released {
		return fault.New(fault.Invalid, "send frame", p.name, errors.New("it was released, or is another pool's"))
	}
	if l.held == nil {
		return fault.New(fault.Closed, "send frame", p.name, fmt.Errorf("the link has ended: %w", l.err))
	}
	number := f.slot.number
	if l.held[number] != nil || len(l.held) == p.cfg.PerReceiver {
		p.stats.Refused++
		return fault.New(fault.Exhausted, "send frame", p.name, fmt.Errorf("the receiver holds this frame, or all %d that it may", p.cfg.PerReceiver))
	}
	op := byte(opAgain)
	if !l.known[number] {
		op, l.known[number] = opFirst, true
	}
	h := &hold{slot: f.slot, message: lend{op, number, uint64(n), note}.encode()}
	l.held[number] = h
	f.slot.holders++
	p.stats.Sent++
	l.queue <- h // has room: it is one of held, which no release shortens before it is written
	return nil
}

// Room waits until the receiver holds fewer frames than it may, for an owner
// that would rather wait than skip it. Another goroutine's Send can be faster
// than the caller's. fault.Closed means that the link has ended.
func (l *Link) Room(ctx context.Context) error {
	for {
		l.pool.mu.Lock()
		held, room, why := l.held != nil, len(l.held) < l.pool.cfg.PerReceiver, l.err
		l.pool.mu.Unlock()
		switch {
		case !held:
			return fault.New(fault.Closed, "wait for room", l.pool.name, fmt.Errorf("the link has ended: %w", why))
		case room:
			l.wake() // whoever else waits
			return nil
		}
		select {
		case <-l.less:
		case <-l.gone:
		case <-ctx.Done():
			return fault.Wrap("wait for room", l.pool.name, ctx.Err())
		}
	}
}

// wake lets one Room look again.
func (l *Link) wake() {
	select {
	case l.less <- struct{}{}:
	default:
	}
}

// write sends what is queued until the link ends.
func (l *Link) write() {
	for {
		select {
		case <-l.gone:
			return
		case h := <-l.queue:
			if err := l.lend(h); err != nil {
				l.end(err)
				return
			}
		}
	}
}

func (l *Link) lend(h *hold) error {
	l.pool.mu.Lock()
	h.begun = true
	l.pool.mu.Unlock()
	if h.message[0] == opFirst {
		return l.conn.SendMemory(context.Background(), h.slot.mem, h.message)
	}
	return l.conn.Send(context.Background(), h.message)
}

// listen takes the receiver's releases until the link ends.
func (l *Link) listen() {
	for {
		m, err := l.conn.Receive(context.Background())
		if err != nil {
			l.end(err)
			return
		}
		number, err := decodeRelease(m.Bytes())
		m.Release()
		if err == nil {
			err = l.release(number)
		}
		if err != nil {
			l.end(err)
			return
		}
	}
}

// release believes only what the receiver was sent, so that nobody else's
// hold can end by it.
func (l *Link) release(number uint32) error {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	h := l.held[number]
	if l.held == nil {
		return nil
	}
	if h == nil || !h.begun {
		return broken("the receiver released frame %d, which it does not hold", number)
	}
	delete(l.held, number)
	l.pool.drop(h.slot)
	l.wake()
	return nil
}

// end gives back all that the receiver held, once, then tells it why.
func (l *Link) end(why error) {
	p := l.pool
	p.mu.Lock()
	if l.held == nil {
		p.mu.Unlock()
		return
	}
	for _, h := range l.held {
		p.drop(h.slot)
	}
	l.held, l.err = nil, why
	delete(p.links, l)
	p.mu.Unlock()
	close(l.gone)
	if errors.Is(why, fault.Protocol) {
		_ = l.conn.CloseWith(fault.Protocol, "the rules of frames")
		return
	}
	_ = l.conn.Close()
}

// Held is how many frames the receiver holds.
func (l *Link) Held() int {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	return len(l.held)
}

// Gone is closed once the link has ended and what the receiver held is given
// back.
func (l *Link) Gone() <-chan struct{} { return l.gone }

// Err says why the link ended: io.EOF if the receiver closed it. It is nil
// before.
func (l *Link) Err() error {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	return l.err
}

// Close ends the link, gives back what the receiver held and waits for the
// link's goroutines. It is idempotent.
func (l *Link) Close() error {
	l.end(fault.New(fault.Closed, "lend frames", l.pool.name, errors.New("this link was closed")))
	l.work.Wait()
	return nil
}
