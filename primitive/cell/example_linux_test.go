// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/parley-ipc/parley/primitive/cell"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Position is what the cell holds.
type Position struct {
	X, Y  float32
	Moved bool
}

// The writer makes a segment, maps it, and seals it; the reader, which would
// be another process that was handed the descriptor, maps it read-only.
func Example() {
	size, err := cell.Size[Position]()
	if err != nil {
		fmt.Println(err)
		return
	}
	size = (size + os.Getpagesize() - 1) / os.Getpagesize() * os.Getpagesize()
	s, err := shm.Create("position", size)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	m, _ := s.MapTwice(0, true) // Tail is the segment, twice
	defer func() { _ = m.Unmap() }()
	w, err := cell.New[Position](m.Tail[:size], cell.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = s.Seal()
	w.Set(Position{X: 1})
	w.Set(Position{X: 2, Y: 3, Moved: true})

	fd, _ := syscall.Dup(s.FD())
	theirs, err := shm.Receive(fd, size)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = theirs.Close() }()
	view, _ := theirs.MapTwice(0, false)
	defer func() { _ = view.Unmap() }()
	r, err := cell.Open[Position](view.Tail[:size], cell.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = r.Close() }()
	v, seq, ok := r.Get()
	fmt.Println(v, seq, ok)

	w.Set(Position{X: 4, Y: 3})
	v, seq, err = r.Watch(context.Background(), seq)
	fmt.Println(v, seq, err)

	_, err = cell.Open[[2]float32](view.Tail[:size], cell.Config{})
	fmt.Println(err)
	// Output:
	// {2 3 true} 2 true
	// {4 3 false} 3 <nil>
	// open cell: protocol error: the writer's type has 12 bytes with "X float32" at "0", ours has 8 bytes with "value 2 of 4 bytes" at "0" (build both programs with the same type)
}
