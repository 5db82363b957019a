// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/shm"
)

var page = os.Getpagesize()

// segment is one of ours, of a page of head and tail bytes, sealed.
func segment(t *testing.T, tail int) (*shm.Segment, *shm.Mapping) {
	t.Helper()
	s, err := shm.Create("test", page+tail)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.MapTwice(page, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Unmap(); _ = s.Close() })
	return s, m
}

func dup(t *testing.T, s *shm.Segment) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestMappedTwiceAndSeenByTheReceiver(t *testing.T) {
	s, m := segment(t, 4*page)
	r, err := shm.Receive(dup(t, s), s.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	rm, err := r.MapTwice(page, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rm.Unmap() }()
	if len(m.Tail) != 8*page || len(m.Head) != page {
		t.Fatalf("head %d, tail %d", len(m.Head), len(m.Tail))
	}
	copy(m.Tail[4*page-2:], "edge") // over the seam
	if got := string(rm.Tail[4*page-2 : 4*page+2]); got != "edge" {
		t.Errorf("over the seam: %q", got)
	}
	if got := string(rm.Tail[:2]) + string(rm.Tail[8*page-2:]); got != "geed" {
		t.Errorf("the second mapping is another memory: %q", got)
	}
	shm.Uint64(m.Head, 8).Store(42)
	shm.Uint32(m.Head, 16).Store(43)
	if a, b := shm.Uint64(rm.Head, 8).Load(), shm.Uint32(rm.Head, 16).Load(); a != 42 || b != 43 {
		t.Errorf("words: %d, %d", a, b)
	}
	if _, err := r.MapTwice(page, true); err == nil {
		t.Error("a received segment could be mapped for writing")
	}
}

func TestSealedAgainstEverybody(t *testing.T) {
	proctest.NeedsKernel(t, "ignores MADV_REMOVE instead of refusing it")
	s, m := segment(t, page)
	fd := s.FD()
	for name, err := range map[string]error{
		"shrink": unix.Ftruncate(fd, 1),
		"grow":   unix.Ftruncate(fd, int64(10*page)),
		"punch":  unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(page)),
		"write":  func() error { _, err := unix.Pwrite(fd, []byte{1}, 0); return err }(),
		"map": func() error {
			_, err := unix.Mmap(fd, 0, page, unix.PROT_WRITE|unix.PROT_READ, unix.MAP_SHARED)
			return err
		}(),
		"madvise":  unix.Madvise(m.Head, unix.MADV_REMOVE),
		"add seal": func() error { _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: allowed", name)
		}
	}
	m.Head[0] = 1 // the writer's own mapping goes on working
}

func TestReceiveRefuses(t *testing.T) {
	s, _ := segment(t, page)
	open, err := shm.Create("unsealed", 2*page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pipe[1]) }()
	file, err := unix.Open(t.TempDir(), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ fd, size int }{
		"small":    {dup(t, s), 4 * page},
		"large":    {dup(t, s), page},
		"unsealed": {dup(t, open), 2 * page},
		"pipe":     {pipe[0], 2 * page},
		"file":     {file, 2 * page},
		"closed":   {1 << 20, 2 * page},
	} {
		if _, err := shm.Receive(c.fd, c.size); !errors.Is(err, fault.Protocol) {
			t.Errorf("%s: %v, want a protocol error", name, err)
		}
		if _, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); err == nil {
			t.Errorf("%s: the descriptor was left open", name)
		}
	}
}

func TestBadShapes(t *testing.T) {
	for _, size := range []int{0, -1} {
		if _, err := shm.Create("bad", size); !errors.Is(err, fault.Invalid) {
			t.Errorf("Create(%d): %v", size, err)
		}
	}
	s, err := shm.Create("odd", 3*page)
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []int{-page, 1, 3 * page, 4 * page} {
		if _, err := s.MapTwice(head, true); !errors.Is(err, fault.Invalid) {
			t.Errorf("MapTwice(%d): %v", head, err)
		}
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
