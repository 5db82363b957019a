// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"sync/atomic"
	"time"
)

// MaxSleepers is how many threads of this process may sleep here at once. A
// futex holds its thread; whoever finds no seat left must wait another way.
const MaxSleepers = 64

// slice is how long a sleep lasts at most where the kernel cannot wait for two
// words at once, and cancellation must be looked for.
const slice = 20 * time.Millisecond

// sleepers counts those threads. It is one for the process, because threads
// are: a limit for each object would limit nothing.
var sleepers atomic.Int32

// Enter takes one of the process's seats and reports whether there was one.
// With true, Leave gives it back.
func Enter() bool {
	if sleepers.Add(1) <= MaxSleepers {
		return true
	}
	sleepers.Add(-1)
	return false
}

// Leave gives back what Enter took.
func Leave() { sleepers.Add(-1) }

// Sleepers is how many seats are taken.
func Sleepers() int { return int(sleepers.Load()) }
