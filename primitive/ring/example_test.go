// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"fmt"
	"sync/atomic"

	"github.com/parley-ipc/parley/primitive/ring"
)

// Both ends in one process; between two, the memory and the counters lie in
// segments of package primitive/shm.
func Example() {
	memory := make([]byte, 2*64) // stands for 64 bytes mapped twice
	var tail, head atomic.Uint64
	p, err1 := ring.NewProducer(memory, &tail, &head, 0)
	c, err2 := ring.NewConsumer(memory, &head, &tail, 0)
	if err1 != nil || err2 != nil {
		fmt.Println(err1, err2)
		return
	}
	p.Publish(copy(p.Next(), "hello"))
	n, err := c.Look()
	fmt.Printf("%s %v\n", c.Next()[:n], err)
	c.Release(n)
	free, err := p.Look()
	fmt.Println(free, err)
	// Output:
	// hello <nil>
	// 64 <nil>
}
