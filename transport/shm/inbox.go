// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Messages on the socket of a connection with rings.
const (
	msgWake  = 0x01 // one byte: look at the rings
	msgFiles = 0x02 // filesSize bytes and one group of descriptors

	filesSize = 10  // msgFiles, count u8, position u64
	maxGroups = 16  // groups announced and not yet taken
	maxParked = 128 // descriptors of those groups; no less than transport.MaxFiles
)

// group is one group of files and the position of the byte they came with.
type group struct {
	pos uint64
	fds []int
}

// inbox is what has come over the socket and not been used. Any goroutine may
// drain it at any time, for nothing in it waits.
type inbox struct {
	mu     sync.Mutex
	buf    [256]byte
	from   receiver
	head   []byte  // guarded by mu: a files message that is not complete
	loose  [][]int // guarded by mu: descriptors whose message is not complete
	groups []group // guarded by mu
	parked int     // guarded by mu: descriptors of groups
	last   uint64  // guarded by mu: position of the last group
	got    uint64  // guarded by mu: groups since the connection began
	closed bool    // guarded by mu
}

var (
	errNoMessage = errors.New("an unknown message on the socket")
	errLooseFile = errors.New("descriptors that nothing announced")
	errManyFiles = errors.New("too many files at once")
)

// drain reads until the socket is empty. io.EOF, or what else ends the
// connection, is an error.
func (in *inbox) drain(fd int) (heard bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		n, fds, err := in.from.receive(fd, in.buf[:])
		if errors.Is(err, errWouldWait) {
			return heard, nil
		}
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err != nil {
			return true, err
		}
		heard = true
		if err := in.parse(in.buf[:n], fds); err != nil {
			return true, fault.New(fault.Protocol, "receive", "", err)
		}
		if n < len(in.buf) && len(fds) == 0 {
			return true, nil // it was empty then: spare the call that says so
		}
	}
}

// parse takes ownership of fds, which came with some byte of p.
func (in *inbox) parse(p []byte, fds []int) error {
	if in.closed {
		closeAll(fds)
		return nil
	}
	if len(fds) > 0 {
		in.loose = append(in.loose, fds)
	}
	for _, c := range p {
		switch {
		case len(in.head) > 0 || c == msgFiles:
			in.head = append(in.head, c)
			if len(in.head) < filesSize {
				continue
			}
			if err := in.announce(); err != nil {
				return err
			}
			in.head = in.head[:0]
		case c != msgWake:
			return fmt.Errorf("%w: %#x", errNoMessage, c)
		}
	}
	if len(in.loose) > 1 || len(in.loose) == 1 && len(in.head) == 0 {
		return errLooseFile
	}
	return nil
}

func (in *inbox) announce() error {
	count, pos := int(in.head[1]), binary.LittleEndian.Uint64(in.head[2:])
	switch {
	case len(in.loose) == 0 || count == 0 || count > transport.MaxFiles || len(in.loose[0]) != count:
		return errLooseFile
	case len(in.groups) >= maxGroups || in.parked+count > maxParked:
		return errManyFiles
	case in.got > 0 && int64(pos-in.last) <= 0:
		return fmt.Errorf("files at position %d after files at %d", pos, in.last)
	}
	g := group{pos: pos, fds: in.loose[0]}
	in.loose = in.loose[1:]
	in.parked += count
	in.got++
	in.last = pos
	in.groups = append(in.groups, g)
	return nil
}

// first returns the position of the first group.
func (in *inbox) first() (pos uint64, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.groups) == 0 {
		return 0, false
	}
	return in.groups[0].pos, true
}

// take removes the first group; the caller owns its descriptors.
func (in *inbox) take() group {
	in.mu.Lock()
	defer in.mu.Unlock()
	g := in.groups[0]
	in.groups = append(in.groups[:0], in.groups[1:]...)
	in.parked -= len(g.fds)
	return g
}

func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	for _, g := range in.groups {
		closeAll(g.fds)
	}
	for _, fds := range in.loose {
		closeAll(fds)
	}
	in.groups, in.loose = nil, nil
}

func appendFiles(p []byte, count int, pos uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(p, msgFiles, byte(count)), pos)
}
