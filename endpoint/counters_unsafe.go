// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"sync/atomic"
	"unsafe"
)

// numCounters is how many counters there are; each is eight bytes and they
// stand in a row. A negative array length below is a struct with a hole or
// one that outgrew its room in the entry.
const numCounters = int(unsafe.Sizeof(Counters{}) / 8)

var (
	_ [maxCounters - numCounters]struct{}
	_ [0]struct{} = [unsafe.Sizeof(Counters{}) % 8]struct{}{}
)

// words are the counters in their order.
func (c *Counters) words() *[numCounters]atomic.Uint64 {
	return (*[numCounters]atomic.Uint64)(unsafe.Pointer(c))
}
