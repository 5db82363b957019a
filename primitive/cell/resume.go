// SPDX-License-Identifier: Apache-2.0

package cell

import "reflect"

// resume continues a cell that another writer has left, of which the caller
// has proof: the value stays, and numbers go on from the last. A value that it
// was in the middle of was never published, and nobody reads its slot.
//
// Whether sleepers are woken was settled when the cell was made: readers have
// seen it.
func resume[T any](mem []byte) (*Writer[T], error) {
	s, err := shapeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	flags, err := s.checkFirst(mem)
	if err != nil {
		return nil, err
	}
	m, err := s.over(mem, "open cell")
	if err != nil {
		return nil, err
	}
	w := &Writer[T]{memory: m, last: m.seq.Load(), bells: m.bell.Load(), wakes: flags&flagWakes != 0}
	m.state.Store(0)
	return w, nil
}

// checkFirst is check for memory of another size than ours, whose header says
// more about the difference than its length does.
func (s *shape) checkFirst(mem []byte) (flags uint32, err error) {
	if len(mem) < atValues || !aligned(mem) {
		_, err := s.over(mem, "open cell")
		return 0, err
	}
	return s.check(memory{bytes: mem})
}
