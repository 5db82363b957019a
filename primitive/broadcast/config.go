// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"time"

	"github.com/parley-ipc/parley/internal/wake"
)

// Policy says what happens to a subscriber that falls behind.
type Policy uint8

// The policies.
const (
	Lossy    Policy = iota // records are overwritten; it learns exactly how many it lost
	Latest                 // it wants the newest only; the others count as lost
	Reliable               // the publisher waits for it, but no longer than its patience
)

// String returns the policy's name.
func (p Policy) String() string {
	switch p {
	case Lossy:
		return "lossy"
	case Latest:
		return "latest"
	case Reliable:
		return "reliable"
	default:
		return "unknown"
	}
}

// Config is what NewPublisher understands. The zero value works.
type Config struct {
	// Ring is the size of the ring in bytes, a power of two from MinRing to
	// MaxRing. Default DefaultRing. A record may take MaxRecord of it.
	Ring int

	// Epoch tells this publisher's segment from that of another start. Default
	// CLOCK_MONOTONIC at creation, so it grows until the machine reboots.
	Epoch uint64

	// Wait sleeps until a subscriber calls its Wake, which may be before Wait
	// begins; it ends with ctx, and may end early. Only Reliable subscribers
	// make the publisher wait. Default: looking again every so often.
	Wait func(ctx context.Context) error

	// Now is the time that records carry, in nanoseconds. Default
	// CLOCK_MONOTONIC.
	Now func() int64

	start, first uint64 // where positions and numbers begin; tests begin near overflow
}

// Terms are what a publisher grants one subscriber. The zero value works.
type Terms struct {
	// Name is who is dropped, in errors.
	Name string

	// Policy of the publisher towards it. Default Lossy.
	Policy Policy

	// Patience is how long one Publish waits for it under Reliable, before it
	// is dropped. Default a second.
	Patience time.Duration

	// Wake ends its sleep, or the next one if it does not sleep yet. It is
	// called while publishing and must neither block nor call the Publisher. A
	// hostile subscriber can have it called once for each publication. Default:
	// nothing, for subscribers that do not sleep.
	Wake func()

	// Dropped is told that the publisher has dropped it, and why, after the
	// publication that did so, which may be made by any goroutine. It may call
	// the Publisher. Default: nothing.
	Dropped func(h *Handle, why error)
}

// SubscribeConfig is what Subscribe understands. The zero value works.
type SubscribeConfig struct {
	// Policy of this subscriber, the same as in its Terms. Default Lossy.
	Policy Policy

	// Last is how many of the records that are still there it gets first.
	// Default none: what is published from now on.
	Last int

	// Match says which records count towards Last, by at most MatchHead of
	// their first bytes, which are a copy and come from a publisher who need
	// not be honest. Default: all of them.
	Match func(head []byte) bool

	// Wait sleeps until the publisher calls Terms.Wake, which may be before
	// Wait begins; it ends with ctx, and may end early. It must watch the
	// publisher's life: its error, unless it is ctx's, is what Next returns
	// once everything published has been read. Default: looking again every so
	// often, without an eye on anybody's life.
	Wait func(ctx context.Context) error

	// Wake ends the publisher's Wait. It must not block. Default: nothing.
	Wake func()

	// Spin says how Next waits before it sleeps. Default Auto.
	Spin Spin
}

// MatchHead is how many bytes of a record SubscribeConfig.Match is shown.
const MatchHead = 512

// Spin says whether a side that waits may burn its processor before it sleeps.
type Spin = wake.Mode

// The values of Spin.
const (
	Auto   = wake.Auto   // while it has lately paid, and the machine has room for it
	Off    = wake.Off    // never
	Always = wake.Always // and never sleep: for processors of one's own
)
