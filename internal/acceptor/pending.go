// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"context"
	"net"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/turns"
	"github.com/parley-ipc/parley/transport"
)

// pending is a connection between accept and AcceptConn. It holds one of the
// listener's slots until its peer is known and admitted, then one of the
// peer's own places:
//
//	accepted ─slot─▶ identified ─in line, untimed─▶ handshake ─place─▶ ready ─▶ AcceptConn
//	                     └─ denied: the last word, in the slot
//
// It belongs to the goroutine that handles it, timer apart.
type pending struct {
	a      *Acceptor
	raw    net.Conn
	ctx    context.Context // ends with the time limit or the listener
	cancel context.CancelCauseFunc
	timer  *time.Timer
	slot   bool
	denied bool        // by policy, and counted
	host   *turns.Turn // nil for a peer on this machine, and once admitted
	turn   *turns.Turn // nil until admitted
}

// passed is a connection that is ready, with the place that it still holds.
type passed struct {
	conn transport.Conn
	turn *turns.Turn
}

// handle owns one slot and raw: it passes the connection on through ready, or
// gives everything back.
func (a *Acceptor) handle(raw net.Conn) {
	p := &pending{a: a, raw: raw, slot: true}
	p.ctx, p.cancel = context.WithCancelCause(a.ctx)
	defer p.cancel(nil)
	defer p.freeSlot()
	if err := p.queue(); err != nil {
		p.refuse(nil, err)
		return
	}
	p.timer = time.AfterFunc(a.cfg.HandshakeTimeout, func() { p.cancel(context.DeadlineExceeded) })
	c, err := p.handshake()
	if err == nil {
		select {
		case a.ready <- passed{c, p.turn}: // AcceptConn ends the turn
			return
		case <-a.ctx.Done():
			_ = c.Close()
		}
	}
	if p.turn != nil {
		p.turn.Leave()
	}
}

// queue keeps one other machine from taking every slot with connections that
// say nothing: it has half of them, and further ones stand in line without.
func (p *pending) queue() (err error) {
	host := remoteHost(p.raw)
	if host == "" {
		return nil
	}
	if p.host = p.a.hosts.TryEnter(host); p.host != nil {
		return nil
	}
	p.freeSlot()
	if p.host, err = p.a.hosts.Enter(p.ctx, host); err != nil {
		return err
	}
	select {
	case p.a.slots <- struct{}{}:
		p.slot = true
		return nil
	case <-p.ctx.Done():
		return p.expired()
	}
}

// remoteHost is the machine that a TCP peer is on; empty for our own.
func remoteHost(raw net.Conn) string {
	addr, ok := raw.RemoteAddr().(*net.TCPAddr)
	if !ok || addr.IP.IsLoopback() {
		return ""
	}
	return addr.IP.String()
}

// freeSlot gives back what is held on behalf of a peer that is not admitted.
func (p *pending) freeSlot() {
	if p.slot {
		p.slot = false
		<-p.a.slots
	}
	if p.host != nil {
		p.host.Leave()
		p.host = nil
	}
}

func (p *pending) handshake() (transport.Conn, error) {
	defer p.timer.Stop()
	stop := context.AfterFunc(p.ctx, func() { _ = p.raw.SetDeadline(time.Unix(1, 0)) })
	c, err := p.a.cfg.Handshake(p.ctx, p.raw, p.authorize)
	if !stop() && err == nil {
		err = p.expired()
	}
	if err == nil {
		p.a.cfg.Counters.Accepted.Add(1)
		return c, nil
	}
	p.refuse(c, err)
	return nil, err
}

// authorize asks policy, then changes the slot for a place among the peer's
// own. Waiting in line is not the peer's fault and does not count against its
// time.
func (p *pending) authorize(id auth.Identity) error {
	if err := p.a.auth.Authorize(p.ctx, id, auth.Connect, p.a.cfg.Address.Resource()); err != nil {
		if p.denied = fault.KindOf(err) == fault.Denied; p.denied {
			p.a.cfg.Counters.Denied.Add(1) // before the peer is told
		}
		return err
	}
	if !p.timer.Stop() {
		return p.expired()
	}
	p.freeSlot()
	var err error
	if p.turn, err = p.a.turns.Enter(p.ctx, id.String()); err != nil {
		return err
	}
	p.timer.Reset(p.a.cfg.HandshakeTimeout)
	return nil
}

func (p *pending) expired() error {
	return fault.Wrap("handshake", p.a.cfg.Address.String(), context.Cause(p.ctx))
}

// refuse ends a connection that did not pass: counted, logged, and where
// policy denied it, told so.
func (p *pending) refuse(c transport.Conn, err error) {
	defer func() { _ = p.raw.Close() }()
	if c != nil {
		defer func() { _ = c.Close() }()
	}
	a := p.a
	switch {
	case fault.KindOf(err) != fault.Denied: // a denial has been logged by auth.LogDenials
		a.cfg.Counters.Failed.Add(1)
		if a.ctx.Err() == nil {
			a.fails.Warn(a.cfg.Logger, "handshake failed", "address", a.cfg.Address.String(), "error", err)
		}
		return
	case !p.denied: // by the handshake itself, which logs it
		a.cfg.Counters.Denied.Add(1)
	}
	if c != nil && a.cfg.Refuse != nil {
		a.lastWord(c)
	}
}
