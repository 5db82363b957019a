// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

// Memory is a handle on shared memory that is written once, sealed, and only
// read from then on, by everybody who holds its file:
//
//	NewMemory ──► write Bytes ──► Seal ──► File ┄┄► OpenMemory ──► Bytes
//	              one process                       any other
//
// What Bytes lends is valid until the handle that lent it is closed; Borrow
// makes handles for those who hold the memory longer. The memory is unmapped
// and its file closed when the last handle is. A handle that is never closed
// keeps its address space until the process ends: nothing else can know
// whether somebody still reads. All methods may be called from many
// goroutines at once, but nobody may write while Seal runs.
type Memory struct {
	b      *block // immutable
	closed bool   // guarded by b.mu
}

// block is what the handles on one memory share.
type block struct {
	size   int      // immutable
	frozen bool     // immutable once sealed: nobody can write, for ever; else only the owner
	quota  *Quota   // immutable; nil for our own
	file   *os.File // immutable

	mu      sync.Mutex
	handles int    // guarded by mu; at 0 it is all over
	sealed  bool   // guarded by mu
	bytes   []byte // guarded by mu; nil while not mapped
}

// NewMemory makes memory of size bytes, zeroed, every page of it reserved, so
// that touching it can never fault, and maps it for writing. name is for
// people who read /proc/PID/maps. Its errors are Create's.
func NewMemory(name string, size int) (*Memory, error) {
	s, err := Create(name, size)
	if err != nil {
		return nil, err
	}
	b := &block{size: size, handles: 1, file: os.NewFile(uintptr(s.fd), name)}
	if b.bytes, err = mapMemory(s.fd, size, true, false); err != nil {
		_ = b.file.Close()
		return nil, err
	}
	return &Memory{b: b}, nil
}

// OpenMemory makes a handle of f, a file of size bytes that came from a peer
// who need not be honest, and becomes its owner if it succeeds. It takes
// constant time, and proves that f is a memory file that nobody can shrink,
// grow, punch or newly map for writing; what is wrong with it is
// fault.Protocol. The bytes count against q, which may be nil, until the last
// handle is closed; a quota that is used up is fault.Exhausted.
func OpenMemory(f *os.File, size int, q *Quota) (*Memory, error) {
	if size <= 0 {
		return nil, fault.New(fault.Protocol, "open memory", "", fmt.Errorf("%d bytes", size))
	}
	frozen, err := checkMemory(f, size)
	if err != nil {
		return nil, err
	}
	if err := q.take(int64(size)); err != nil {
		return nil, err
	}
	return &Memory{b: &block{size: size, frozen: frozen, quota: q, file: f, handles: 1, sealed: true}}, nil
}

// Size is the memory's length in bytes.
func (m *Memory) Size() int { return m.b.size }

// Frozen says whether nobody can write the memory any more, its owner
// included. Memory received from another program may be sealed against
// everybody but its owner: then it can change under the reader's eyes, and
// what is parsed has to be copied first.
func (m *Memory) Frozen() bool {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	return m.b.frozen
}

// Bytes returns the memory: ours for writing until Seal, read-only otherwise.
// A write to read-only memory ends the program.
//
// The first call on received memory maps it, and makes sure that each page is
// there, for a hole that the peer left could fault later: a look at each page,
// about as long as it takes to read one byte of each. No memory for such
// holes is fault.Exhausted.
func (m *Memory) Bytes() ([]byte, error) {
	b := m.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.closed {
		return nil, errMemoryClosed("read memory")
	}
	if b.bytes == nil {
		var err error
		if b.bytes, err = b.open(); err != nil {
			return nil, err
		}
	}
	return b.bytes, nil
}

// Seal forbids everybody, ourselves included, to change the memory's content
// or size, for ever. Bytes lent before stay readable where they are. It is
// idempotent. Its cost grows with the pages that were touched.
func (m *Memory) Seal() error {
	b := m.b
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case m.closed:
		return errMemoryClosed("seal memory")
	case b.frozen:
		return nil
	case b.sealed:
		return fault.New(fault.Invalid, "seal memory", "", errors.New("its owner keeps on writing it"))
	}
	if err := b.freeze(); err != nil {
		return err
	}
	b.sealed, b.frozen = true, true
	return nil
}

// SealLive forbids everybody else to change the memory's content, and
// everybody to change its size, for ever, in constant time; what Bytes lent us
// stays writable. It is for memory that is used again and again: those who
// open it can only read, must have asked for live memory, and are to be told
// by other means when it is whole. It is idempotent, and fault.Invalid after
// Seal.
func (m *Memory) SealLive() error {
	b := m.b
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case m.closed:
		return errMemoryClosed("seal memory")
	case b.frozen:
		return fault.New(fault.Invalid, "seal memory", "", errors.New("nobody can write it any more"))
	case b.sealed:
		return nil
	}
	if err := b.keep(); err != nil {
		return err
	}
	b.sealed = true
	return nil
}

// File is the sealed memory's file, to be passed to a peer. It stays ours,
// open until the last handle is closed. Before Seal there is none to give
// away: fault.Invalid.
func (m *Memory) File() (*os.File, error) {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	switch {
	case m.closed:
		return nil, errMemoryClosed("pass memory")
	case !m.b.sealed:
		return nil, fault.New(fault.Invalid, "pass memory", "", errors.New("it is not sealed")).WithHint("call Seal first")
	}
	return m.b.file, nil
}

// Borrow returns another handle on the same memory, to be closed by itself.
func (m *Memory) Borrow() (*Memory, error) {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	if m.closed {
		return nil, errMemoryClosed("borrow memory")
	}
	m.b.handles++
	return &Memory{b: m.b}, nil
}

// Close ends the handle, and with the last one the memory in this process.
// It is idempotent.
func (m *Memory) Close() error {
	b := m.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	if b.handles--; b.handles > 0 {
		return nil
	}
	b.quota.give(int64(b.size))
	var err error
	if b.bytes != nil {
		err = unmap(b.bytes)
		b.bytes = nil
	}
	return errors.Join(err, b.file.Close())
}

func errMemoryClosed(op string) error {
	return fault.New(fault.Closed, op, "", errors.New("this handle was closed"))
}
