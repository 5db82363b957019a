// SPDX-License-Identifier: Apache-2.0

package shm

// Mapping is a segment in our address space: a head of whole pages, and a
// tail that is mapped twice in a row, so that any run of bytes up to its
// length is contiguous wherever it starts.
//
// Neither slice may be touched after Unmap: that is a fault which no Go
// program survives. Whoever lends them out counts the loans.
type Mapping struct {
	Head []byte
	Tail []byte // twice the tail: Tail[i] and Tail[i+len(Tail)/2] are the same byte

	base []byte
}

// MapTwice maps the segment, its first head bytes once and the rest twice in
// a row; both must be multiples of the page size. A segment that came from a
// peer is mapped read-only whatever write says.
func (s *Segment) MapTwice(head int, write bool) (*Mapping, error) {
	if write && !s.ours {
		return nil, errSealed
	}
	return s.mapTwice(head, write)
}

// Unmap gives the address space back. It is idempotent, not concurrent.
func (m *Mapping) Unmap() error {
	base := m.base
	m.base, m.Head, m.Tail = nil, nil, nil
	if base == nil {
		return nil
	}
	return unmap(base)
}
