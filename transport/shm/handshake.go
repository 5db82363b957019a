// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// handshake is one side's course through it. Its waits end with the socket's
// deadline, which the caller sets.
type handshake struct {
	sock *net.UnixConn
	id   auth.Identity
	opts Options
}

// client offers our segment, if we want rings at once, and learns what the
// server makes of it.
func (h *handshake) client() (agreement, error) {
	none := agreement{}
	r, mine, err := h.begin()
	if err != nil {
		return none, err
	}
	defer r.abandon()
	m := r.hello(statusRings)
	m.later = mine
	if err := h.say(m, r.offer()); err != nil {
		if _, e := h.hear(answerError); fault.KindOf(e) == fault.Denied {
			return none, e // the answer was there before our hello
		}
		return none, err
	}
	answer, err := h.hear(answerError)
	if err != nil {
		return none, err
	}
	defer answer.close()
	ready := false
	if answer.status == statusRings {
		if r.own == nil {
			return none, fault.New(fault.Protocol, "handshake", "", errors.New("the peer answered with rings, and we offered none"))
		}
		if ready, err = r.attach(answer); err != nil {
			return none, err
		}
	}
	last := byte(confirmRings)
	if !ready {
		last = confirmSocket
	}
	if _, err := h.sock.Write([]byte{last}); err != nil {
		return none, err
	}
	if ready {
		return agreement{rings: r.keep()}, nil
	}
	return agreement{
		later:  mine&laterMay != 0 && answer.later&laterMay != 0,
		soon:   answer.later&laterSoon != 0,
		failed: h.opts.attach() == AtOnce || mine&laterMay != 0 && answer.later&laterMay == 0,
	}, nil
}

// begin makes the dialer's segment, if it is to be attached in the handshake,
// and says what becomes of it otherwise.
func (h *handshake) begin() (r *rings, later uint8, err error) {
	later = h.opts.laterBits() & laterMay
	if h.opts.attach() != AtOnce {
		return h.without(), later, nil
	}
	if r, err = h.prepare(); err != nil {
		return nil, 0, err
	}
	if r.own == nil {
		later |= laterNone
	}
	return r, later, nil
}

// server hears the client's hello and answers. Policy has been asked before.
func (h *handshake) server() (agreement, error) {
	none := agreement{}
	offer, err := h.hear(offerError)
	if err != nil {
		if fault.KindOf(err) == fault.Protocol {
			h.refuse(err)
		}
		return none, err
	}
	defer offer.close()
	r := h.without()
	if offer.ring != 0 && h.opts.attach() != Never {
		if r, err = h.prepare(); err != nil {
			return none, err
		}
	}
	defer r.abandon()
	ready, err := r.attach(offer)
	if err != nil {
		h.refuse(err)
		return none, err
	}
	st := statusRings
	if !ready {
		st = statusSocket
		r.abandon()
	}
	m := r.hello(st)
	m.later = h.opts.laterBits()
	if err := h.say(m, r.offer()); err != nil {
		return none, err
	}
	used, err := h.lastWord(ready)
	if err != nil {
		return none, err
	}
	if used {
		return agreement{rings: r.keep()}, nil
	}
	wanted := offer.ring != 0 || offer.later&laterNone != 0
	return agreement{
		later:  m.later&laterMay != 0 && offer.later&laterMay != 0,
		failed: m.later&laterMay != 0 && (wanted || offer.later&laterMay == 0),
	}, nil
}

// lastWord reads the byte that says whether the client has attached as well.
func (h *handshake) lastWord(ready bool) (rings bool, err error) {
	confirm, fds, err := h.exactly(1)
	closeAll(fds)
	switch {
	case err != nil:
		return false, err
	case len(fds) > 0:
		return false, fault.New(fault.Protocol, "handshake", "", errLooseFile)
	case confirm[0] == confirmSocket:
		return false, nil
	case confirm[0] == confirmRings && ready:
		return true, nil
	}
	return false, fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the peer confirmed with %#x", confirm[0]))
}

// refuse tells a client why it is turned away, in one word.
func (h *handshake) refuse(err error) {
	st := statusBroken
	var v versionMismatch
	if errors.As(err, &v) {
		st = statusVersion
	}
	if fault.KindOf(err) == fault.Denied {
		st = statusDenied
	}
	_ = h.say(hello{version: Version, status: st}, nil)
}

// Refuse tells a client that has come with this handshake that policy denies
// it, for a listener that takes several protocols on one socket.
func Refuse(sock *net.UnixConn) {
	(&handshake{sock: sock}).refuse(fault.New(fault.Denied, "handshake", "", nil))
}

// prepare makes our segment. Without memory for it the rings are empty, which
// means the socket; an error is something else.
func (h *handshake) prepare() (*rings, error) {
	r := h.without()
	size := h.opts.RingSize
	if size == 0 {
		size = h.opts.Budget.ringSize(h.id)
	}
	err := r.create(size, h.opts.start)
	if err != nil && fault.KindOf(err) != fault.Exhausted {
		return nil, err
	}
	return r, nil
}

// without is no rings.
func (h *handshake) without() *rings { return &rings{id: h.id, budget: h.opts.Budget} }

func (h *handshake) say(m hello, fds []int) error {
	raw, err := h.sock.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Write(func(fd uintptr) bool {
		var room bool
		room, serr = sendFiles(int(fd), m.append(make([]byte, 0, helloSize)), fds)
		return room
	})
	return fault.Wrap("handshake", "", cmp.Or(err, serr))
}

// heard is the peer's hello and the segment that came with it: fd -1 for none.
type heard struct {
	hello
	fd int
}

func (h *heard) close() {
	if h.fd >= 0 {
		closeAll([]int{h.fd})
		h.fd = -1
	}
}

// hear reads a hello, the prefix first: what follows it depends on the version
// and on the status, which check judges.
func (h *handshake) hear(check func(status, uint16) error) (*heard, error) {
	prefix, fds, err := h.exactly(prefixSize)
	if err != nil {
		return nil, err
	}
	rest, m, err := h.hearRest(prefix, check)
	fds = append(fds, rest...)
	want := 0
	if err == nil && m.ring != 0 {
		want = 1
	}
	if err == nil && len(fds) != want {
		err = fault.New(fault.Protocol, "handshake", "", fmt.Errorf("%d descriptors came, not %d", len(fds), want))
	}
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	if want == 0 {
		return &heard{m, -1}, nil
	}
	return &heard{m, fds[0]}, nil
}

func (h *handshake) hearRest(prefix []byte, check func(status, uint16) error) ([]int, hello, error) {
	version, st, err := parsePrefix(prefix)
	if err != nil {
		return nil, hello{}, err
	}
	if err := check(st, version); err != nil {
		return nil, hello{}, err
	}
	if version != Version {
		return nil, hello{}, versionError(version)
	}
	rest, fds, err := h.exactly(helloSize - prefixSize)
	if err != nil {
		return fds, hello{}, err
	}
	m, err := parseHello(append(prefix, rest...))
	return fds, m, err
}

// exactly reads n bytes and the few descriptors that may come with them. On
// error it has closed those.
func (h *handshake) exactly(n int) ([]byte, []int, error) {
	raw, err := h.sock.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	p, got, fds := make([]byte, n), 0, []int(nil)
	var from receiver
	for got < n {
		var m int
		var more []int
		var rerr error
		err := raw.Read(func(fd uintptr) bool {
			m, more, rerr = from.receive(int(fd), p[got:])
			return !errors.Is(rerr, errWouldWait)
		})
		fds = append(fds, more...)
		got += m
		if err = cmp.Or(err, rerr); err == nil && m == 0 {
			err = fault.New(fault.PeerDied, "handshake", "", io.ErrUnexpectedEOF)
		}
		if err == nil && len(fds) > 1 {
			err = fault.New(fault.Protocol, "handshake", "", errLooseFile)
		}
		if err != nil {
			closeAll(fds)
			return nil, nil, fault.Wrap("handshake", "", err)
		}
	}
	return p, fds, nil
}
