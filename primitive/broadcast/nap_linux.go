// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxNappers is how many threads of this process may nap at once: a nap in the
// kernel holds its thread, but costs a fraction of a timer of Go's, for which
// threads must be woken that look for work and find none.
const maxNappers = 4

// nappers counts those threads. It is one for the process, because threads are.
var nappers atomic.Int32

// nap sleeps for about d, at most napMax, and reports whether it could.
func nap(d time.Duration) bool {
	if nappers.Add(1) > maxNappers {
		nappers.Add(-1)
		return false
	}
	defer nappers.Add(-1)
	ts := unix.NsecToTimespec(int64(d))
	return unix.Nanosleep(&ts, nil) == nil
}
