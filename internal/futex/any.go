// SPDX-License-Identifier: Apache-2.0

package futex

import "sync/atomic"

// MaxWords is how many words WaitAny waits for at most, the private one apart.
const MaxWords = 127

// A Word is a shared word and what it held when its caller decided to sleep.
type Word struct {
	Addr  *atomic.Uint32
	Value uint32
}
