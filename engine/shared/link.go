// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/topic"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/unix"
)

// link is one subscriber on the publisher's side. It is a transport.Conn
// because that is what the acceptor hands on; nobody else sees it.
type link struct {
	*unix.Conn
	p    *publisher
	sub  topic.Subscriber // immutable once attached
	raw  syscall.RawConn
	ring func(fd uintptr) // rings the subscriber's bell, allocated once

	h         *broadcast.Handle // guarded by p.mu
	gone      bool              // guarded by p.mu
	closeOnce sync.Once
}

var _ transport.Conn = (*link)(nil)

// shake is the acceptor's handshake: who is it, may it, what does it want.
func (p *publisher) shake(_ context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
	sock, ok := raw.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a unix stream socket")
	}
	id, err := unixconn.PeerIdentity(sock)
	if err != nil {
		return nil, err
	}
	var l *link
	if err = authorize(id); err == nil {
		if err = p.reserve(); err == nil {
			if l, err = p.attach(sock, id); err != nil {
				p.giveBack()
			}
		}
	}
	if err != nil {
		_, _ = sock.Write(answer{status: max(fault.KindOf(err), fault.Invalid)}.encode())
		return nil, err
	}
	return l, nil
}

// reserve takes one of MaxSubscribers places.
func (p *publisher) reserve() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.links)+p.pending >= p.cfg.MaxSubscribers {
		return fault.New(fault.Exhausted, "subscribe", p.addr, fmt.Errorf("it has %d subscribers already", p.cfg.MaxSubscribers)).
			WithHint("set PublisherConfig.MaxSubscribers")
	}
	p.pending++
	return nil
}

func (p *publisher) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending--
}

// settle answers the subscriber and turns its reserved place into a link's, in
// one step: whoever has the answer is counted, and is not dropped before. There
// is room for the answer in the socket, so that writing it takes no time.
func (p *publisher) settle(l *link, h *broadcast.Handle, a answer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.h = h
	if _, err := l.Conn.Write(a.encode()); err != nil {
		return err
	}
	p.pending--
	if l.gone {
		return nil
	}
	p.links[l.sub.ID] = l
	p.attached.Add(1)
	close(p.came)
	p.came = make(chan struct{})
	return nil
}

// attach exchanges memory with the subscriber.
func (p *publisher) attach(sock *net.UnixConn, id auth.Identity) (*link, error) {
	var b [helloSize]byte
	if _, err := receiveWith(sock, b[:], 0); err != nil {
		return nil, err
	}
	h, err := decodeHello(b[:])
	if err != nil {
		return nil, err
	}
	if h.policy == topic.Reliable && p.cfg.MaxPatience < 0 {
		return nil, fault.New(fault.Unsupported, "subscribe", p.addr, errors.New("its publisher waits for nobody")).WithHint("subscribe as lossy or latest")
	}
	if h.patience == 0 {
		h.patience = topic.DefaultPatience
	}
	a := answer{ring: uint64(p.ring.Ring()), patience: min(h.patience, max(p.cfg.MaxPatience, 0))}
	if err := sendFD(sock, a.encode(), p.ring.Segment().FD()); err != nil {
		return nil, err
	}
	page, err := receiveWith(sock, b[:8], 1)
	if err != nil {
		return nil, err
	}
	fd, err := takeFD(page[0])
	if err != nil {
		return nil, err
	}
	l, err := p.newLink(sock, id, h)
	if err != nil {
		return nil, errors.Join(err, os.NewFile(uintptr(fd), "page").Close())
	}
	terms := broadcast.Terms{Name: l.sub.Name, Policy: broadcast.Policy(h.policy), Patience: a.patience, Wake: l.wake, Dropped: l.dropped}
	handle, err := p.ring.Attach(fd, terms)
	if err != nil {
		return nil, err
	}
	if err := p.settle(l, handle, a); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func (p *publisher) newLink(sock *net.UnixConn, id auth.Identity, h hello) (*link, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.nextID++
	n := p.nextID
	p.mu.Unlock()
	l := &link{Conn: unix.NewConn(sock, id), p: p, raw: raw, sub: topic.Subscriber{ID: n, Name: h.name, Who: id, Policy: h.policy}}
	bell := [1]byte{msgWake}
	l.ring = func(fd uintptr) { say(int(fd), &bell) }
	return l, nil
}

// wake is called while publishing and does not block.
func (l *link) wake() {
	l.p.wakes.Add(1)
	l.p.count.Wakes.Add(1)
	_ = l.raw.Control(l.ring)
}

// dropped is told by the ring that the subscriber is attached no more.
func (l *link) dropped(_ *broadcast.Handle, why error) {
	if fault.KindOf(why) == fault.Closed {
		return // it went by itself, and its socket will say so
	}
	l.p.dropped.Add(1)
	if tell := l.p.cfg.Dropped; tell != nil {
		tell(l.sub, why)
	}
	l.p.topic.engine.cfg.Logger.Warn("subscriber dropped", "topic", l.p.addr, "name", l.sub.Name, "who", l.sub.Who.String(), "reason", why)
	l.farewell()
}

// farewell tells the subscriber that it was dropped.
func (l *link) farewell() {
	last := [1]byte{msgDropped}
	_ = l.raw.Control(func(fd uintptr) { say(int(fd), &last) })
	_ = l.Close()
}

// serve hears wake-ups until the subscriber has gone.
func (l *link) serve() {
	defer func() { _ = l.Close() }()
	_ = l.SetDeadline(time.Time{})
	var b [64]byte
	for {
		n, err := l.Read(b[:])
		if n > 0 {
			l.p.kick()
		}
		if err != nil {
			return
		}
	}
}

// Close lets the subscriber go.
func (l *link) Close() error {
	l.closeOnce.Do(func() {
		l.p.mu.Lock()
		l.gone = true
		h := l.h
		delete(l.p.links, l.sub.ID)
		l.p.mu.Unlock()
		if h != nil { // else it was dropped while it was being attached
			h.Detach()
		}
		_ = l.Conn.Close()
		l.p.count.Closed.Add(1)
	})
	return nil
}
