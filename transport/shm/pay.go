// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"encoding/binary"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// pay sends the frame that is due, if there is room for it: else later. If that
// has moved our direction it returns the stream, whose writing half is locked.
// The caller holds wmu.
func (p *plain) pay() *stream {
	m := p.move
	if m.owed.Load() == 0 || p.said {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch kind := m.owed.Load(); kind {
	case 0:
	case frameGo:
		return p.goOut()
	default:
		if p.sendControl(byte(kind)) {
			if m.far >= 0 {
				closeAll([]int{m.far})
				m.far = -1
			}
			m.owed.Store(0)
		}
	}
	return nil
}

// goOut moves what we write. The caller holds wmu and mu.
func (p *plain) goOut() *stream {
	s, err := p.begin()
	if err != nil {
		if !p.closed.Load() {
			p.move.decline(err)
		}
		return nil
	}
	if !s.wr.mu.tryLock() {
		return nil // it is being closed
	}
	if !p.sendControl(frameGo) {
		s.unlock(&s.wr.half) // Close may have left the rest to us
		return nil
	}
	p.move.owed.Store(0)
	p.dir.out.Store(s)
	if p.shut.Load() { // by CloseWrite, which looks the other way round
		s.status.Or(isShut)
	}
	p.retire()
	return s
}

// sendControl sends a frame without waiting and reports whether that is done.
// The caller holds wmu and mu, which keeps the descriptors open.
func (p *plain) sendControl(kind byte) bool {
	frame, fds := p.move.frame(kind)
	room, serr := false, error(nil)
	err := p.raw.Control(func(fd uintptr) { room, serr = sendFiles(int(fd), frame, fds) })
	if fault.KindOf(serr) == fault.Exhausted && len(fds) > 0 {
		p.move.decline(serr)
		return false
	}
	return err == nil && serr == nil && room // what ails the socket the next frame finds
}

// writeRest writes what is left of b from n on, with the files if n is 0, into
// the ring whose half pay has locked.
func (p *plain) writeRest(ctx context.Context, s *stream, b []byte, files []*os.File, n int) (int, error) {
	defer s.unlock(&s.wr.half)
	if len(files) > 0 {
		if err := s.announce(files); err != nil {
			return n, err
		}
	}
	m, err := s.writeLocked(ctx, b[n:])
	return n + m, err
}

// unlockWriter lets go of wmu, and sends what has become due meanwhile.
func (p *plain) unlockWriter() {
	p.wmu.unlock()
	p.nudge()
}

// nudge sends what is due, unless somebody holds wmu, who will.
func (p *plain) nudge() {
	m := p.move
	for kind := m.owed.Load(); kind != 0; {
		if !p.payAlone() {
			return
		}
		now := m.owed.Load()
		if now == kind { // no room: whoever reads or writes next tries again
			return
		}
		kind = now
	}
}

// payAlone pays outside a Write, and is false while there is one.
func (p *plain) payAlone() bool {
	p.paying.Lock()
	defer p.paying.Unlock()
	if !p.wmu.tryLock() {
		return false
	}
	if s := p.pay(); s != nil {
		s.unlock(&s.wr.half)
	}
	p.wmu.unlock()
	return true
}

// How many frames a writer writes before it looks whether the peer has said
// something, since perhaps nobody reads.
const (
	glanceSoon = 4  // an answer is due
	glanceLate = 16 // an offer may come
)

// glance obeys the peer without waiting, unless somebody reads or could: who
// finds data leaves them. The caller holds wmu.
func (p *plain) glance() {
	m := p.move
	if p.frames++; p.frames%glanceSoon != 0 {
		return
	}
	m.mu.Lock()
	look := m.phase == offered || m.phase == agreed || !m.dialer && m.phase == resting && p.frames%glanceLate == 0
	m.mu.Unlock()
	if !look || !p.rmu.TryLock() {
		return
	}
	defer p.rmu.Unlock()
	if p.left == 0 && p.rerr == nil && p.dir.in.Load() == nil {
		_ = p.remember(p.readHead(false))
	}
}

// frame is the frame of that kind. The caller holds mu.
func (m *mover) frame(kind byte) (frame []byte, fds []int) {
	files, size := controlFrame(kind)
	frame = make([]byte, size)
	frame[0], frame[1] = kind, byte(files)
	if size == offerSize {
		binary.LittleEndian.PutUint32(frame[4:], uint32(size-frameHead))
		binary.LittleEndian.PutUint32(frame[8:], uint32(m.rings.ownSize))
		binary.LittleEndian.PutUint64(frame[16:], m.rings.ownStart)
		fds = append(fds, m.rings.own.FD())
	}
	if kind == frameOffer {
		fds = append(fds, m.far)
	}
	return frame, fds
}
