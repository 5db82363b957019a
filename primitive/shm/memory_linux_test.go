// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/shm"
)

func sealed(t testing.TB, content []byte) *shm.Memory {
	t.Helper()
	m, err := shm.NewMemory("test", len(content))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	copy(b, content)
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	return m
}

// copyOf is what a peer gets of m's file.
func copyOf(t testing.TB, m *shm.Memory) *os.File {
	t.Helper()
	f, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "copy")
}

// memfd is a peer's memory file of the given size and seals.
func memfd(t testing.TB, size int64, seals int) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("peer", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "peer")
	t.Cleanup(func() { _ = f.Close() })
	if err := unix.Ftruncate(fd, size); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return f
}

const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

func TestMemoryCrosses(t *testing.T) {
	for _, size := range []int{1, page - 1, page, page + 1, 1<<20 + 3} {
		want := bytes.Repeat([]byte("memory!"), size/7+1)[:size]
		m := sealed(t, want)
		q := &shm.Quota{}
		r, err := shm.OpenMemory(copyOf(t, m), size, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, side := range []*shm.Memory{m, r} {
			b, err := side.Bytes()
			if err != nil || !bytes.Equal(b, want) || cap(b) != size || !side.Frozen() || side.Size() != size {
				t.Fatalf("%d bytes: %d arrived, frozen %v, %v", size, len(b), side.Frozen(), err)
			}
		}
		if got := q.Used(); got != int64(size) {
			t.Errorf("%d of the quota in use, want %d", got, size)
		}
		_ = r.Close()
		if got := q.Used(); got != 0 {
			t.Errorf("%d of the quota still in use", got)
		}
	}
}

// TestSealedMemoryCannotChange tries what the owner and a peer could.
func TestSealedMemoryCannotChange(t *testing.T) {
	proctest.NeedsKernel(t, "ignores MADV_REMOVE instead of refusing it")
	m := sealed(t, make([]byte, page))
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f := copyOf(t, m)
	defer func() { _ = f.Close() }()
	fd := int(f.Fd())
	_, mapped := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	_, seal := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
	_, write := f.WriteAt([]byte("x"), 0)
	for name, err := range map[string]error{
		"map": mapped, "seal": seal, "write": write,
		"shrink": f.Truncate(1), "grow": f.Truncate(int64(2 * page)),
		"punch":  unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(page)),
		"remove": unix.Madvise(b, unix.MADV_REMOVE),
	} {
		if err == nil {
			t.Errorf("%s: allowed", name)
		}
	}
	if err := m.Seal(); err != nil {
		t.Errorf("a second Seal: %v", err)
	}
}

// TestSealKeepsReaders: bytes lent before Seal stay where they are.
func TestSealKeepsReaders(t *testing.T) {
	m, err := shm.NewMemory("test", 64*page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	copy(b, "before")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			for i := 0; i < len(b); i += page {
				if i == 0 && b[i] != 'b' {
					t.Error("a reader saw other memory")
				}
				_ = b[i]
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	err = m.Seal()
	close(stop)
	wg.Wait()
	after, err2 := m.Bytes()
	if err != nil || err2 != nil || &after[0] != &b[0] || string(b[:6]) != "before" {
		t.Errorf("%v, %v: the memory moved", err, err2)
	}
}

// TestSealBusy: a writable mapping elsewhere is an error, and ours goes on.
func TestSealBusy(t *testing.T) {
	m, err := shm.NewMemory("busy-test", page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	fd := findFD(t, "busy-test")
	other, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Seal(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("sealed: %v", err)
	}
	b, _ := m.Bytes()
	b[0] = 7
	if other[0] != 7 {
		t.Error("our mapping is no longer the file's")
	}
	if err := unix.Munmap(other); err != nil {
		t.Fatal(err)
	}
	if err := m.Seal(); err != nil {
		t.Errorf("sealed again: %v", err)
	}
}

func findFD(t *testing.T, name string) int {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range dir {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.Contains(to, name) {
			var fd int
			_, _ = fmt.Sscan(e.Name(), &fd)
			return fd
		}
	}
	t.Fatalf("no descriptor of %s", name)
	return -1
}

func TestOpenMemoryRefuses(t *testing.T) {
	good := sealed(t, make([]byte, 2*page))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	live := memfd(t, int64(2*page), fixed|unix.F_SEAL_FUTURE_WRITE)
	writeOnly, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", memfd(t, int64(2*page), 0).Fd()), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(writeOnly.Fd(), unix.F_ADD_SEALS, fixed|unix.F_SEAL_WRITE); err != nil {
		t.Fatal(err)
	}
	pathOnly, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	closed := memfd(t, 1, fixed|unix.F_SEAL_WRITE)
	_ = closed.Close()
	rows := map[string]struct {
		f    *os.File
		size int
	}{
		"small": {copyOf(t, good), 2*page + 1}, "large": {copyOf(t, good), 2*page - 1}, "zero": {copyOf(t, good), 0},
		"negative": {copyOf(t, good), -1}, "huge": {copyOf(t, good), math.MaxInt},
		"empty": {memfd(t, 0, fixed|unix.F_SEAL_WRITE), 0}, "pipe": {r, 2 * page}, "pipe's end": {w, 2 * page},
		"directory": {dir, 2 * page}, "file": {plain, 2 * page}, "write only": {writeOnly, 2 * page},
		"path only": {os.NewFile(uintptr(pathOnly), "path"), 2 * page}, "closed": {closed, 1},
		"unsealed":       {memfd(t, int64(2*page), 0), 2 * page},
		"can shrink":     {memfd(t, int64(2*page), fixed&^unix.F_SEAL_SHRINK|unix.F_SEAL_WRITE), 2 * page},
		"can grow":       {memfd(t, int64(2*page), fixed&^unix.F_SEAL_GROW|unix.F_SEAL_WRITE), 2 * page},
		"can be sealed":  {memfd(t, int64(2*page), fixed&^unix.F_SEAL_SEAL|unix.F_SEAL_WRITE), 2 * page},
		"can be written": {memfd(t, int64(2*page), fixed), 2 * page},
	}
	for name, row := range rows {
		q := &shm.Quota{}
		m, err := shm.OpenMemory(row.f, row.size, q)
		if !errors.Is(err, fault.Protocol) || m != nil || q.Used() != 0 {
			t.Errorf("%s: %v, want a protocol error", name, err)
		}
		_ = row.f.Close()
	}
	m, err := shm.OpenMemory(live, 2*page, nil)
	if err != nil || m.Frozen() {
		t.Fatalf("sealed for the future only: %v; it is not frozen", err)
	}
	if _, err := m.Bytes(); err != nil {
		t.Error(err)
	}
	_ = m.Close()
}

// TestHolesAreFilled: a peer's memory has no pages where we read, and as many
// beyond its end, so that their number looks right.
func TestHolesAreFilled(t *testing.T) {
	const size = 1 << 20
	f := memfd(t, size, 0)
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, size, size); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, fixed|unix.F_SEAL_WRITE); err != nil {
		t.Fatal(err)
	}
	blocks := func() int64 {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		return int64(st.Blocks) * 512 //nolint:unconvert // 32 bits on some
	}
	before := blocks()
	m, err := shm.OpenMemory(f, size, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if before < size || blocks() < before+size {
		t.Errorf("%d bytes were there, %d are: the holes were not reserved before the first read", before, blocks())
	}
	if i := bytes.IndexFunc(b, func(r rune) bool { return r != 0 }); i >= 0 {
		t.Errorf("byte %d is not zero", i)
	}
	_ = m.Close()
}

func TestQuota(t *testing.T) {
	m := sealed(t, make([]byte, page))
	q := &shm.Quota{Max: int64(2*page - 1)}
	f := copyOf(t, m)
	a, err := shm.OpenMemory(copyOf(t, m), page, q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shm.OpenMemory(f, page, q); !errors.Is(err, fault.Exhausted) {
		t.Errorf("%v, want exhausted", err)
	}
	_, _ = a.Close(), a.Close() // the second gives nothing back
	b, err := shm.OpenMemory(f, page, q)
	if err != nil {
		t.Fatalf("the file was lost with the refusal: %v", err)
	}
	_ = b.Close()
	if _, err := shm.OpenMemory(memfd(t, int64(2*page), fixed|unix.F_SEAL_WRITE), 2*page, q); !errors.Is(err, fault.TooLarge) {
		t.Errorf("%v, want too large", err)
	}
	if q.Used() != 0 {
		t.Errorf("%d in use", q.Used())
	}
}

// mappings counts ours of the memory called name.
func mappings(t *testing.T, name string) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "memfd:"+name)
}

// TestUnmappedAfterTheLastHandle: closing one handle, even twice, takes
// nothing from another.
func TestUnmappedAfterTheLastHandle(t *testing.T) {
	m, err := shm.NewMemory("handles-test", page)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	other, err := m.Borrow()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := other.Bytes()
	for range 3 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if b[0] != 0 || mappings(t, "handles-test") != 1 {
		t.Error("unmapped while borrowed")
	}
	_, e1 := m.Bytes()
	_, e2 := m.File()
	_, e3 := m.Borrow()
	for _, err := range []error{e1, e2, e3, m.Seal()} {
		if !errors.Is(err, fault.Closed) {
			t.Errorf("after Close: %v", err)
		}
	}
	if err := other.Close(); err != nil || mappings(t, "handles-test") != 0 {
		t.Errorf("still mapped after the last handle, or %v", err)
	}
}

func TestMemoryHasNoFileBeforeSeal(t *testing.T) {
	m, err := shm.NewMemory("test", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if _, err := m.File(); !errors.Is(err, fault.Invalid) {
		t.Errorf("%v, want invalid", err)
	}
	if _, err := shm.NewMemory("test", 0); !errors.Is(err, fault.Invalid) {
		t.Errorf("no bytes: %v", err)
	}
}

// FuzzOpenMemory opens files of any size and seals, and reads all of what is
// taken for good.
func FuzzOpenMemory(f *testing.F) {
	f.Add(uint32(4096), int64(4096), uint8(fixed|unix.F_SEAL_WRITE), uint32(0))
	f.Add(uint32(5000), int64(5000), uint8(fixed|unix.F_SEAL_FUTURE_WRITE), uint32(4096))
	f.Add(uint32(5000), int64(4096), uint8(fixed|unix.F_SEAL_WRITE), uint32(1<<20))
	f.Fuzz(func(t *testing.T, real uint32, said int64, seals uint8, punch uint32) {
		real %= 1 << 20
		file := memfd(t, int64(real), 0)
		if _, err := file.WriteAt([]byte("x"), int64(punch%(real+1))); err != nil {
			t.Fatal(err)
		}
		st, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, int(seals)&0x1f); err != nil {
			t.Fatal(err)
		}
		q := &shm.Quota{Max: 1 << 21}
		m, err := shm.OpenMemory(file, int(said), q)
		safe := int(seals)&fixed == fixed && int(seals)&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0
		if want := safe && said == st.Size() && int64(int(said)) == said; want != (err == nil) {
			t.Fatalf("%d bytes said to be %d, seals %#x: %v", st.Size(), said, seals, err)
		}
		if err != nil {
			return
		}
		b, err := m.Bytes()
		if err != nil || int64(len(b)) != st.Size() || bytes.Count(b, []byte("x")) != 1 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		if err := m.Close(); err != nil || q.Used() != 0 {
			t.Fatal(err)
		}
	})
}

func BenchmarkMemory(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("own/%d", size), func(b *testing.B) { benchOwner(b, size) })
		b.Run(fmt.Sprintf("first-bytes/%d", size), func(b *testing.B) {
			owner := sealed(b, bytes.Repeat([]byte{1}, size))
			for b.Loop() {
				m, err := shm.OpenMemory(copyOf(b, owner), size, nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.Bytes(); err != nil {
					b.Fatal(err)
				}
				_ = m.Close()
			}
		})
	}
}

// benchOwner reports what each step costs the owner.
func benchOwner(b *testing.B, size int) {
	var create, touch, seal time.Duration
	for b.Loop() {
		start := time.Now()
		m, err := shm.NewMemory("bench", size)
		if err != nil {
			b.Fatal(err)
		}
		p, _ := m.Bytes()
		made := time.Now()
		for i := 0; i < len(p); i += page {
			p[i] = 1
		}
		touched := time.Now()
		if err := m.Seal(); err != nil {
			b.Fatal(err)
		}
		create, touch, seal = create+made.Sub(start), touch+touched.Sub(made), seal+time.Since(touched)
		_ = m.Close()
	}
	for name, d := range map[string]time.Duration{"create": create, "touch": touch, "seal": seal} {
		b.ReportMetric(float64(d.Nanoseconds())/float64(b.N), name+"-ns/op")
	}
}
