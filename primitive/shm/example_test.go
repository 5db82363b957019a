// SPDX-License-Identifier: Apache-2.0

//go:build linux

package shm_test

import (
	"fmt"
	"os"

	"github.com/parley-ipc/parley/primitive/ring"
	"github.com/parley-ipc/parley/primitive/shm"
)

// A ring in a segment: one page of words, then the data, mapped twice.
func Example() {
	page := os.Getpagesize()
	s, err := shm.Create("example", page+4*page)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	m, err := s.MapTwice(page, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = m.Unmap() }()

	tail, head := shm.Uint64(m.Head, 0), shm.Uint64(m.Head, 128)
	p, _ := ring.NewProducer(m.Tail, tail, head, 0)
	c, _ := ring.NewConsumer(m.Tail, head, tail, 0)

	p.Publish(copy(p.Next(), "one run of bytes"))
	if n, err := c.Look(); err == nil {
		fmt.Printf("%s (%d)\n", c.Next(), n)
		c.Release(n)
	}
	// Output: one run of bytes (16)
}
