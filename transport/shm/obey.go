// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// obey does what a control frame says. The caller holds rmu.
func (p *plain) obey(frame []byte) error {
	fds := p.fds
	p.fds = nil
	m := p.move
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	switch kind := frame[0]; {
	case m.phase == fixed && kind != frameGo: // our direction has ended: nothing can come of it
		closeAll(fds)
		return m.outOfPlace(kind, p.shut.Load())
	case kind == frameOffer && !m.dialer && m.phase == resting && m.owed.Load() == 0:
		err = m.answer(frame, fds)
	case kind == frameAccept && m.dialer && m.phase == offered && m.owed.Load() == 0:
		err = m.accepted(frame, fds)
	case kind == frameNone && m.phase != going && m.owed.Load() != frameOffer && m.owed.Load() != frameAccept:
		m.declined()
	case kind == frameGo && m.dialer && m.phase == going && m.stream != nil && m.owed.Load() == 0,
		kind == frameGo && !m.dialer && m.phase == agreed && m.owed.Load() == 0:
		return p.goIn()
	default:
		closeAll(fds)
		return m.outOfPlace(kind, false)
	}
	if err != nil {
		m.drop()
		m.phase = fixed
		return fault.Wrap("read", p.addr, err)
	}
	return nil
}

func (m *mover) outOfPlace(kind byte, fine bool) error {
	if fine {
		return nil
	}
	return fault.New(fault.Protocol, "read", "", fmt.Errorf("a frame of kind %#x where none is due", kind))
}

// answer takes up a dialer's offer. An error is a peer that lies.
func (m *mover) answer(frame []byte, fds []int) error {
	sent, err := parseOffer(frame, fds)
	defer sent.close()
	if m.offers++; err == nil && m.offers > maxOffers {
		err = errNoMemory
	}
	if len(fds) > 1 {
		var serr error
		m.sock, serr = adopt(fds[1], m.id)
		err = errors.Join(err, serr)
	}
	if err == nil {
		err = m.prepare()
	}
	return m.attach(sent, err, agreed, frameAccept)
}

// accepted takes up a listener's answer.
func (m *mover) accepted(frame []byte, fds []int) error {
	sent, err := parseOffer(frame, fds)
	defer sent.close()
	return m.attach(sent, err, going, frameGo)
}

// attach maps the peer's segment, unless there is an obstacle, and goes on to
// the next phase if there is memory for it.
func (m *mover) attach(sent *heard, obstacle error, next phase, owed uint32) error {
	ready, err := false, obstacle
	if err == nil {
		ready, err = m.rings.attach(sent)
	}
	switch {
	case fault.KindOf(err) == fault.Protocol:
		return err
	case !ready:
		m.decline(cmp.Or(err, errNoMemory))
		return nil
	}
	m.phase = next
	m.owed.Store(owed)
	return nil
}

// declined is the peer's word that nothing comes of it.
func (m *mover) declined() {
	m.drop()
	m.phase = resting
	m.scale = min(m.scale*backOff, maxScale)
	m.fallBack()
}

// parseOffer takes the first of fds. Without any, the kernel had no room for
// them in our table.
func parseOffer(frame []byte, fds []int) (*heard, error) {
	sent := &heard{hello{ring: binary.LittleEndian.Uint32(frame[8:]), start: binary.LittleEndian.Uint64(frame[16:])}, -1}
	if len(fds) > 0 {
		sent.fd = fds[0]
	}
	switch {
	case !goodRing(uint64(sent.ring)) || binary.LittleEndian.Uint32(frame[12:]) != 0:
		return sent, fault.New(fault.Protocol, "attach rings", "", fmt.Errorf("the peer's ring would have %d bytes", sent.ring))
	case sent.fd < 0:
		return sent, fault.New(fault.Exhausted, "attach rings", "", errNoTable)
	}
	return sent, nil
}

var errNoTable = errors.New("our table of descriptors is full")

// begin makes the stream, once both sides have both segments. The caller holds mu.
func (p *plain) begin() (*stream, error) {
	m := p.move
	if m.stream != nil {
		return m.stream, nil
	}
	if p.closed.Load() {
		return nil, fault.New(fault.Closed, "attach rings", p.addr, nil)
	}
	s, err := newStream(m.sock, p.addr, m.rings.keep(), m.opts, m.logger)
	if err != nil {
		return nil, err
	}
	m.rings, m.stream = nil, s
	_ = s.setReadDeadline(p.rtime.get())
	_ = s.setWriteDeadline(p.wtime.get())
	return s, nil
}

// goIn moves what we read. The caller holds rmu and mu.
func (p *plain) goIn() error {
	s, err := p.begin()
	if err != nil {
		return err
	}
	m := p.move
	m.phase = going
	if !m.dialer && p.dir.out.Load() == nil {
		m.owed.Store(frameGo)
	}
	p.dir.in.Store(s)
	p.retire()
	return errMoved
}

// retire closes the old socket once nothing goes over it any more.
func (p *plain) retire() {
	if p.dir.in.Load() != nil && p.dir.out.Load() != nil {
		_ = p.sock.Close()
	}
}
