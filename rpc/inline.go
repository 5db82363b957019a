// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"sync/atomic"
	"time"
)

// Where a handler runs.
const (
	isApart    = iota // in a goroutine of its own
	isInline          // where its call was read: it holds the reader's role
	isHandedOn        // it did, and somebody else has taken the role
	isFinished        // it did, and has ended
)

const (
	shortRun   = 20 * time.Microsecond  // a run that speaks for the method
	longRun    = 100 * time.Microsecond // one that speaks against it: between them it may have been the machine
	promotion  = 16                     // short runs, to begin with
	overrun    = 16                     // what a long run takes back
	mostCredit = 64
	guardEvery = time.Millisecond
)

// pace is what a method's runs have taken. It starts in a goroutine each, is
// promoted to run where its call was read once its runs are short, and demoted
// by long ones: by one in ten at the latest, but not by the odd one in which
// the machine had other things to do.
type pace struct{ credit atomic.Int32 }

func (p *pace) promoted() bool { return p.credit.Load() >= promotion }

func (p *pace) ran(d time.Duration) {
	c := p.credit.Load()
	switch {
	case d <= shortRun && c < mostCredit:
		p.credit.Store(c + 1)
	case d > longRun:
		p.credit.Store(max(c-overrun, 0))
	}
}

// now is the time, to what one handler that runs here and its neighbours' frames
// take. The caller holds the role.
func (c *conn) now() time.Time {
	if c.clock.IsZero() {
		c.clock = time.Now()
	}
	return c.clock
}

// handOn is called for the holder of the role by the handler that it runs, or
// by the guard. What is left in the buffer moves to a new one, for the handler
// may still read the old; what is lent goes back, and is lent again.
func (c *conn) handOn() {
	if c.lent {
		c.giveBack()
	} else {
		in := make([]byte, max(firstBuffer, c.n-c.r))
		c.n = copy(in, c.in[c.r:c.n])
		c.in, c.r = in, 0
	}
	go c.hold() // takes over our place in the crew, too
}

// watch lets the guard know of a handler that runs here.
func (c *conn) watch(s *serverStream) {
	c.running.Store(s)
	if !c.guarding.Load() && c.guarding.CompareAndSwap(false, true) {
		c.guard.Reset(guardEvery)
	}
}

// patrol is the guard's timer, the safety net: it hands the role on for a
// handler that it finds twice. It ends when it finds none twice, and not with
// the connection.
func (c *conn) patrol() {
	s := c.running.Load()
	if s != nil && s == c.suspect.Load() {
		s.m.pace.ran(guardEvery)
		s.handOn()
	}
	was := c.suspect.Swap(s)
	if s == nil && was == nil {
		c.guarding.Store(false)
		if c.running.Load() == nil || !c.guarding.CompareAndSwap(false, true) {
			return
		}
	}
	c.guard.Reset(guardEvery)
}
