// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// How a connection moves from its socket into rings. The two sides speak
// between frames of data, each frame of these in the place where it is due:
//
//	dialer                              listener
//	frameOffer  segment, new socket ──▶   maps the segment
//	  maps it   ◀── frameAccept  segment
//	frameGo                         ──▶   what follows it is in the dialer's ring
//	            ◀── frameGo               what follows it is in the listener's ring
//
// frameNone in the place of any of the dialer's or of frameAccept says that
// nothing comes of it: both stay on the socket, and may try again later. The
// new socket, one end of a pair, is where the two sleep with rings: the old
// one still brings frames, which whoever reads has not read yet, while a
// writer in its ring waits for a word from the other side already. When both
// directions have moved the old socket is closed.
//
//	offset  field
//	     0  kind    u8   one of these
//	     1  files   u8   2, 1, 0, 0
//	     2  zero    u16
//	     4  length  u32  16 for frameOffer and frameAccept, else 0
//	     8  ring    u32  size of the sender's ring
//	    12  zero    u32
//	    16  start   u64  position of the first byte in it
const (
	frameOffer  = 0x13 // with the dialer's segment and its end of a new socket
	frameAccept = 0x14 // with the listener's segment
	frameNone   = 0x15
	frameGo     = 0x16

	offerSize = 24
)

// controlFrame is how many descriptors and bytes a frame of that kind has.
func controlFrame(kind byte) (files, size int) {
	switch kind {
	case frameOffer:
		return 2, offerSize
	case frameAccept:
		return 1, offerSize
	case frameNone, frameGo:
		return 0, frameHead
	}
	return 0, 0
}

// errMoved says that the rest is in the ring.
var errMoved = errors.New("the direction has moved")

// phase is how far a connection has come on its way into rings.
type phase uint8

const (
	resting phase = iota // nothing is under way
	offered              // dialer: our offer is due or sent, no answer has come
	agreed               // listener: our answer is due or sent, the dialer has not gone
	going                // both have both segments: our frameGo is due or sent
	fixed                // it stays as it is
)

// mover is what a connection that is not, or not wholly, on rings knows of
// them. Its mutex is the innermost but those of the deadlines.
type mover struct {
	opts   Options
	id     auth.Identity
	logger *slog.Logger
	dialer bool

	// owed is the frame that is due, 0 for none. Whoever holds wmu sends it;
	// who finds wmu held leaves it to the holder, who looks when it lets go.
	owed atomic.Uint32

	mu     sync.Mutex
	phase  phase         // guarded by mu
	rings  *rings        // guarded by mu: not yet a stream's
	sock   *net.UnixConn // guarded by mu: our end of the new socket
	far    int           // guarded by mu: the peer's end until it is sent; -1: none
	stream *stream       // guarded by mu: made by the first of our halves that goes
	fell   bool          // guarded by mu: counted as a fallback
	offers int           // guarded by mu: of a listener

	since  time.Time // guarded by mu: when frames and bytes were zero
	frames int       // guarded by mu
	bytes  int       // guarded by mu
	scale  int       // guarded by mu: how many times worthFrames is worth it
}

// settleOn begins a connection on its socket as the handshake has agreed.
func (p *plain) settleOn(a agreement, id auth.Identity, dialer bool, logger *slog.Logger) {
	m := p.move
	m.id, m.dialer, m.logger, m.far, m.scale = id, dialer, logger, -1, 1
	if !a.later {
		m.phase = fixed
	}
	if a.failed {
		m.scale = backOff
		m.fallBack()
	}
	if m.dialer && a.later && a.soon && !a.failed {
		m.offer()
		p.nudge()
	}
}

// fallBack counts a connection that does without rings, once. The caller holds
// mu, or nobody else knows m.
func (m *mover) fallBack() {
	if m.fell {
		return
	}
	m.fell = true
	m.opts.Counters.Fallbacks.Add(1)
	if m.opts.FellBack != nil {
		m.opts.FellBack()
	}
}

// note counts a frame's bytes, and makes the offer if they were worth it. The
// caller holds the lock of its direction.
func (m *mover) note(p *plain, n int) {
	if !m.dialer {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase != resting || m.owed.Load() != 0 {
		return
	}
	if now := time.Now(); now.Sub(m.since) > m.opts.within {
		m.since, m.frames, m.bytes = now, 0, 0
	}
	m.frames++
	m.bytes += n
	if m.frames >= m.scale*worthFrames || m.bytes >= m.scale*worthBytes {
		m.offer()
	}
}

// offer makes what is to be offered. The caller holds mu, or nobody else knows m.
func (m *mover) offer() {
	m.frames, m.bytes = 0, 0
	err := m.prepare()
	if err == nil {
		m.sock, m.far, err = newPair()
	}
	if err != nil {
		m.decline(err)
		return
	}
	m.phase = offered
	m.owed.Store(frameOffer)
}

// prepare makes our segment.
func (m *mover) prepare() error {
	r, err := (&handshake{id: m.id, opts: m.opts}).prepare()
	if err == nil && r.own == nil {
		err = fault.New(fault.Exhausted, "attach rings", "", errNoMemory)
	}
	if err == nil {
		m.rings = r
	}
	return err
}

var errNoMemory = errors.New("no memory for rings")

// decline gives up what is under way, and tells the peer.
func (m *mover) decline(why error) {
	m.logger.Debug("no rings for the connection", "who", m.id.String(), "error", why)
	m.drop()
	m.phase = resting
	m.scale = min(m.scale*backOff, maxScale)
	m.fallBack()
	m.owed.Store(frameNone)
}

// drop undoes what is under way. The caller holds mu.
func (m *mover) drop() {
	if m.rings != nil {
		m.rings.abandon()
		m.rings = nil
	}
	if m.sock != nil && m.stream == nil {
		_ = m.sock.Close()
		m.sock = nil
	}
	if m.far >= 0 {
		closeAll([]int{m.far})
		m.far = -1
	}
	m.owed.Store(0)
}

// end says that nothing moves any more, and returns what has moved so far,
// which Close closes.
func (m *mover) end() *stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = fixed
	return m.stream
}

// abandon undoes what has not become a stream's, once nothing can.
func (m *mover) abandon() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = fixed
	m.drop()
}

// weEnded says that our last frame is about to be sent: what is due can no
// longer be said. A listener whose answer has gone may yet be followed by the
// dialer.
func (m *mover) weEnded() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stream == nil && !(m.phase == agreed && m.owed.Load() == 0) {
		m.phase = fixed
		m.drop()
	}
	m.owed.Store(0)
}

// peerEnded says that the peer's last frame has come: no answer will.
func (m *mover) peerEnded() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase == going { // its answer has come
		return
	}
	m.phase = fixed
	m.drop()
}

// deadline sets one of a direction, wherever it is.
func (m *mover) deadline(r *restore, t time.Time, then func(*stream, time.Time) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := r.set(t)
	if m.stream != nil {
		return then(m.stream, t) // the old socket may be closed already
	}
	return err
}
