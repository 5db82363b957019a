// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"cmp"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/wake"
	"github.com/parley-ipc/parley/transport"
)

// Spin says whether a side that waits may burn its processor before it sleeps.
type Spin = wake.Mode

// The values of Spin.
const (
	Auto   = wake.Auto   // while it has lately paid, and the machine has room for it
	Off    = wake.Off    // never
	Always = wake.Always // and never sleep: for processors of one's own
)

// safetyTime is how long a sleeper sleeps at most before it looks for itself.
const safetyTime = 5 * time.Second

// Options are what both ends may choose. The zero value works.
type Options struct {
	// RingSize is the capacity of the ring that this side writes, in bytes: a
	// power of two from MinRingSize to MaxRingSize. Default DefaultRingSize
	// for the first connection of a peer, less and less as the budget fills, so that it
	// serves about four hundred busy connections of one peer before any must do
	// without rings.
	RingSize int

	// Attach says when the rings are attached. Default OnTraffic.
	Attach Attach

	// FellBack, if set, is called once for a connection that works on its
	// socket for want of memory or of the peer's consent, when that is known.
	// It must not use the connection. Default: counted alone.
	FellBack func()

	// Prefault maps every page of both rings when they are attached, in the
	// handshake or later, instead of at its first use, where it costs a fault each. Their memory is reserved in either case. Default: at first
	// use.
	Prefault bool

	// Spin says how this side waits. Default Auto.
	Spin Spin

	// Trusted allows Peek: reading the peer's bytes where the peer can still
	// change them, which rpc then does. It is for two halves of one program, not for one user's
	// processes in general.
	Trusted bool

	// Budget bounds the ring memory that this side attaches. Default the
	// process's own, DefaultBudget. Beyond it a connection works on its socket.
	Budget *Budget

	// Counters, if set, counts what happens on this connection; a listener
	// uses its own. Default: counted for the connection alone.
	Counters *endpoint.Counters

	start  uint64        // where our positions start; tests start near overflow
	safety time.Duration // in place of safetyTime
	within time.Duration // in place of worthTime
}

// DialConfig is what Dial and NewConn understand. The zero value works.
type DialConfig struct {
	transport.DialConfig
	Options
}

// ListenConfig is what Listen understands. The zero value works.
type ListenConfig struct {
	transport.ListenConfig
	Options
}

// For is o with what the address says of its rings (?ring=SIZE, ?prefault=true),
// which goes before what the fields say.
func (o Options) For(addr endpoint.Address) Options {
	o.RingSize = cmp.Or(addr.Ring(), o.RingSize)
	if _, said := addr.Query["prefault"]; said {
		o.Prefault = addr.Flag("prefault")
	}
	return o
}

func (o Options) withDefaults() (Options, error) {
	if o.RingSize < 0 || o.RingSize > 0 && !goodRing(uint64(o.RingSize)) {
		return o, fault.New(fault.Invalid, "configure shm", "", fmt.Errorf("a ring of %d bytes", o.RingSize)).
			WithHint(fmt.Sprintf("choose a power of two from %d to %d", max(MinRingSize, headSize()), MaxRingSize))
	}
	if o.Budget == nil {
		o.Budget = DefaultBudget
	}
	if o.Counters == nil {
		o.Counters = new(endpoint.Counters)
	}
	if o.safety == 0 {
		o.safety = safetyTime
	}
	if o.within == 0 {
		o.within = worthTime
	}
	return o, nil
}
