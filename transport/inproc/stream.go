// SPDX-License-Identifier: Apache-2.0

package inproc

import (
	"errors"
	"io"
	"os"
	"sync"
)

// capacity is what a direction holds before its writer waits, in bytes.
const capacity = 64 << 10

// What a stream says when it cannot go on; conn.go words it.
var (
	errBlocked = errors.New("would wait")
	errNoPeer  = errors.New("the peer has closed")
	errEnded   = errors.New("our direction has ended")
)

// stream is one direction: a ring of bytes, and files at positions in it.
type stream struct {
	mu       sync.Mutex
	buf      []byte        // guarded by mu; grows up to capacity
	read     uint64        // position of the reader; guarded by mu
	written  uint64        // position of the writer; guarded by mu
	groups   []group       // guarded by mu
	ended    bool          // nothing more will be written; guarded by mu
	deserted bool          // nobody will read; guarded by mu
	changed  chan struct{} // closed at the next change; nil if nobody waits; guarded by mu

	writing sync.Mutex // held through one Write, so that two do not mix
}

// group is the files that came with the byte at a position.
type group struct {
	at    uint64
	files []*os.File
}

// wait returns a channel that is closed at the next change, to be asked for
// before the attempt that it waits for.
func (s *stream) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// change wakes whoever waits. mu is held.
func (s *stream) change() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// put appends what fits of p, with files at its first byte.
func (s *stream) put(p []byte, files []*os.File) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, errEnded
	}
	if s.deserted {
		return 0, errNoPeer
	}
	n := min(len(p), capacity-int(s.written-s.read))
	if n == 0 && len(p) > 0 {
		return 0, errBlocked
	}
	s.reserve(n)
	if len(files) > 0 {
		s.groups = append(s.groups, group{s.written, files})
	}
	for done := 0; done < n; {
		done += copy(s.buf[(s.written+uint64(done))%uint64(len(s.buf)):], p[done:n])
	}
	s.written += uint64(n)
	if n > 0 {
		s.change()
	}
	return n, nil
}

// reserve makes room for n more bytes. mu is held.
func (s *stream) reserve(n int) {
	held := int(s.written - s.read)
	size := max(len(s.buf), 1<<10)
	for size < held+n {
		size *= 2
	}
	if size == len(s.buf) {
		return
	}
	buf := make([]byte, size)
	for done := 0; done < held; {
		at := s.read + uint64(done)
		from := s.buf[at%uint64(len(s.buf)):]
		done += copy(buf[at%uint64(size):], from[:min(len(from), held-done)])
	}
	s.buf = buf
}

// take reads into p. With wantFiles it returns the files at the first byte and
// stops before the next group; without, it returns those passed over.
func (s *stream) take(p []byte, wantFiles bool) (n int, files []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deserted {
		return 0, nil, errEnded
	}
	if len(p) == 0 {
		return 0, nil, nil
	}
	n = min(len(p), int(s.written-s.read))
	if n == 0 {
		if s.ended {
			return 0, nil, io.EOF
		}
		return 0, nil, errBlocked
	}
	n, files = s.takeFiles(n, wantFiles)
	for done := 0; done < n; {
		from := s.buf[(s.read+uint64(done))%uint64(len(s.buf)):]
		done += copy(p[done:n], from)
	}
	s.read += uint64(n)
	s.change()
	return n, files, nil
}

// takeFiles returns the files within the next n bytes, and how many of those
// bytes to take. mu is held.
func (s *stream) takeFiles(n int, oneGroup bool) (int, []*os.File) {
	var files []*os.File
	for len(s.groups) > 0 {
		g := s.groups[0]
		ahead := g.at - s.read
		if ahead >= uint64(n) {
			break
		}
		if oneGroup && ahead > 0 {
			return int(ahead), files
		}
		files = append(files, g.files...)
		s.groups = s.groups[1:]
	}
	return n, files
}

// end is the writer's goodbye.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.change()
}

// desert is the reader's: what is left is dropped.
func (s *stream) desert() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deserted = true
	for _, g := range s.groups {
		closeFiles(g.files)
	}
	s.groups, s.buf, s.read = nil, nil, s.written
	s.change()
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
