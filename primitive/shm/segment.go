// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// Segment is an anonymous memory file. It is not safe for concurrent use. Its
// mappings outlive it: close it as soon as it is mapped and handed over.
type Segment struct {
	fd   int // -1 once closed
	size int
	ours bool // we made it, and may map it writable until it is sealed
}

// Create makes an anonymous segment of size bytes, every page of it reserved,
// so that touching it can never fault. name is for people who read
// /proc/PID/maps. A full tmpfs or a memory control group without head-room is
// fault.Exhausted; the latter check is best effort, for others may allocate
// between it and the reservation.
func Create(name string, size int) (*Segment, error) {
	if size <= 0 {
		return nil, fault.New(fault.Invalid, "create segment", "", fmt.Errorf("%d bytes", size))
	}
	return create(name, size)
}

// Receive takes ownership of fd, which came from a peer who need not be
// honest, and proves that it is a memory file of exactly size bytes that
// nobody can shrink, grow, punch or newly map for writing. It reserves every
// page too. On error fd has been closed; what is wrong with it is
// fault.Protocol.
func Receive(fd, size int) (*Segment, error) {
	s, err := receive(fd, size)
	if err != nil {
		_ = closeFD(fd)
		return nil, err
	}
	return s, nil
}

// Seal forbids everybody to shrink, grow, punch, write or newly map the
// segment for writing, for ever. Mappings that exist keep their rights: map
// first.
func (s *Segment) Seal() error { return s.seal() }

// FD is the descriptor, valid until Close.
func (s *Segment) FD() int { return s.fd }

// Size is the segment's length in bytes.
func (s *Segment) Size() int { return s.size }

// Close closes the descriptor. Mappings stay. It is idempotent.
func (s *Segment) Close() error {
	fd := s.fd
	s.fd = -1
	if fd < 0 {
		return nil
	}
	return closeFD(fd)
}

var errSealed = errors.New("the segment came from a peer: it can only be read")
