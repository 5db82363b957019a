// SPDX-License-Identifier: Apache-2.0

package shm

import "time"

// Attach says when a connection gets its rings. Until then it works on its
// socket. Of the two sides the dialer offers them; the one that wants them
// sooner has its way, but one that says Never.
type Attach uint8

// The values of Attach.
const (
	// OnTraffic waits for traffic worth it: worthFrames pieces or worthBytes
	// bytes, both directions together, within a second. A connection that is
	// idle or ends soon has no rings then. A side that is Trusted attaches at
	// once, since Peek works on rings alone.
	OnTraffic Attach = iota

	// AtOnce attaches them in the handshake, or, if only the listener says so,
	// right after it.
	AtOnce

	// Never works on the socket for good.
	Never
)

// What is worth rings, within worthTime. After an attempt that failed for want
// of memory the next one takes backOff times as much.
const (
	worthFrames = 16
	worthBytes  = 64 << 10
	worthTime   = time.Second
	backOff     = 64
	maxScale    = backOff * backOff * backOff

	// maxOffers is how many offers a listener looks at; further ones it
	// declines unseen.
	maxOffers = 8
)

// attach is what o.Attach comes to.
func (o *Options) attach() Attach {
	if o.Attach == OnTraffic && o.Trusted {
		return AtOnce
	}
	return o.Attach
}

// agreement is what a handshake has come to.
type agreement struct {
	rings  *rings // nil: the connection begins on its socket
	later  bool   // it may get rings there
	soon   bool   // the dialer is to offer them at once
	failed bool   // rings were wanted, and there was no memory for them
}

// Bits of hello.later.
const (
	laterMay  = 1 << 0 // the sender would attach rings later
	laterSoon = 1 << 1 // the listener asks for an offer at once
	laterNone = 1 << 2 // the dialer wanted rings and has no memory for them
)

func (o *Options) laterBits() uint8 {
	switch o.attach() {
	case Never:
		return 0
	case AtOnce:
		return laterMay | laterSoon
	default:
		return laterMay
	}
}
