// SPDX-License-Identifier: Apache-2.0

package busypoll

import (
	"sync/atomic"
	"time"
)

// span is about the time of a few round trips.
const span = 250 * time.Microsecond

// crowd counts the sockets of the process that are being read: those that
// have been waited for in a span of time. Where there are many, the runtime's
// poller brings several at once, which costs less than polling each.
type crowd struct {
	now    atomic.Int64 // the span that is being counted
	count  atomic.Int32 // sockets in it
	before atomic.Int32 // sockets in the one before it
}

var busy crowd

// origin makes spans small numbers above zero.
var origin = time.Now().Add(-span)

// note counts a socket that was last counted in *seen, and returns how many
// there are. Two who begin a span at once may lose a count.
func (c *crowd) note(seen *int64) int32 { return c.noteAt(int64(time.Since(origin)/span), seen) }

func (c *crowd) noteAt(at int64, seen *int64) int32 {
	if last := c.now.Load(); last != at && c.now.CompareAndSwap(last, at) {
		n := c.count.Swap(0)
		if at > last+1 {
			n = 0
		}
		c.before.Store(n)
	}
	n := c.count.Load()
	if *seen != at {
		*seen = at
		n = c.count.Add(1)
	}
	return max(n, c.before.Load())
}
