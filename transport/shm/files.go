// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// writeFiles implements WriteFiles: a message on the socket carries the group
// and the position of its byte; the count beside the tail tells the reader,
// who need not ask the socket, that there is one.
func (s *stream) writeFiles(p []byte, files []*os.File) (int, error) {
	if len(files) == 0 {
		return s.write(context.Background(), p)
	}
	if err := checkFiles(p, files, s.addr); err != nil {
		return 0, err
	}
	w := &s.wr
	if err := s.lock(context.Background(), &w.half, "send files", wrExpired); err != nil {
		return 0, err
	}
	defer s.unlock(&w.half)
	if err := s.announce(files); err != nil {
		return 0, err
	}
	return s.writeLocked(context.Background(), p)
}

func checkFiles(p []byte, files []*os.File, addr string) error {
	switch {
	case len(p) == 0:
		return fault.New(fault.Invalid, "send files", addr, errors.New("files need at least one byte to travel with"))
	case len(files) > transport.MaxFiles:
		return fault.New(fault.TooLarge, "send files", addr, fmt.Errorf("%d files at once, of at most %d", len(files), transport.MaxFiles)).WithHint("send them in several groups")
	}
	return nil
}

// announce returns with room for at least one byte, so that the group is never
// left without it.
func (s *stream) announce(files []*os.File) error {
	w := &s.wr
	fds, err := descriptors(files)
	if err != nil {
		return err
	}
	if err := s.writable(context.Background(), "send files"); err != nil {
		return err
	}
	if err := s.awaitSpace(context.Background(), 1, 1); err != nil {
		return err
	}
	if err := s.awaitTaken(len(fds)); err != nil {
		return err
	}
	message := appendFiles(make([]byte, 0, filesSize), len(fds), w.ring.Tail())
	for {
		err := s.bell.send(message, fds)
		if err == nil {
			break
		}
		if stop := s.writable(context.Background(), "send files"); stop != nil {
			return stop
		}
		if isGone(err) {
			s.hangup(err)
			return s.died("send files")
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return fault.Wrap("send files", s.addr, err)
		}
	}
	runtime.KeepAlive(files)
	w.counts[w.sent%maxGroups] = uint8(len(fds)) // at most MaxFiles
	w.sent++
	w.tally.files += uint64(len(files))
	s.ours.files.Store(w.sent)
	return nil
}

// awaitTaken waits until the peer has room for one more group of n files.
func (s *stream) awaitTaken(n int) error {
	w := &s.wr
	for {
		if err := s.lookTaken(); err != nil {
			return s.fail(err)
		}
		if w.sent-w.seen < maxGroups && w.parked()+n <= maxParked {
			return nil
		}
		if err := s.writable(context.Background(), "send files"); err != nil {
			return err
		}
		s.ours.want.Store(1)
		s.pause(context.Background(), &w.half)
	}
}

// passFiles is called before n bytes are read, when groups are announced. It
// returns how many can be read now: to take files, up to the next group, whose
// files it returns if the first byte is theirs; else all of them, and the files
// in between are closed.
func (s *stream) passFiles(n int, take bool) (readable int, files []*os.File, err error) {
	r := &s.rd
	for first := true; r.taken != r.announced; first = false {
		pos, err := s.nextGroup()
		if err != nil {
			return 0, nil, s.fail(err)
		}
		gap := pos - r.ring.Head()
		if gap > uint64(r.ring.Cap()) {
			return 0, nil, s.fail(fmt.Errorf("%w: files at position %d, far from %d", fault.Protocol, pos, r.ring.Head()))
		}
		if gap >= uint64(n) {
			return n, files, nil
		}
		if take && !(first && gap == 0) {
			return int(gap), files, nil
		}
		g := s.takeGroup()
		if !take {
			closeAll(g.fds)
			continue
		}
		for _, fd := range g.fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return n, files, nil
}

// nextGroup is the position of the first group not yet taken. It was sent
// before it was announced, so it is on the socket if it is not here.
func (s *stream) nextGroup() (uint64, error) {
	if pos, ok := s.bell.in.first(); ok {
		return pos, nil
	}
	s.bell.look()
	if pos, ok := s.bell.in.first(); ok {
		return pos, nil
	}
	return 0, fmt.Errorf("%w: files were announced and did not come", fault.Protocol)
}

func (s *stream) takeGroup() group {
	r := &s.rd
	g := s.bell.in.take()
	r.taken++
	r.tally.files += uint64(len(g.fds))
	s.ours.taken.Store(r.taken)
	s.rouse(&r.half, s.theirs.wsleep.Load())
	return g
}
