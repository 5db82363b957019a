// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// TestSealLive: the owner writes on, its reader sees it, and nobody else can
// change a byte or the size.
func TestSealLive(t *testing.T) {
	m, err := shm.NewMemory("live-test", page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.SealLive(); err != nil {
			t.Fatal(err)
		}
	}
	f := copyOf(t, m)
	r, err := shm.OpenMemory(f, page, nil)
	if err != nil || r.Frozen() || m.Frozen() {
		t.Fatalf("%v; it is not frozen", err)
	}
	defer func() { _ = r.Close() }()
	seen, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if b[i] = byte(i + 1); seen[i] != byte(i+1) {
			t.Errorf("the reader sees %d, want %d", seen[i], i+1)
		}
	}
	fd := int(f.Fd())
	_, mapped := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	_, write := f.WriteAt([]byte("x"), 0)
	for name, err := range map[string]error{
		"map": mapped, "write": write, "shrink": f.Truncate(1), "grow": f.Truncate(int64(2 * page)),
		"punch":         unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(page)),
		"make writable": unix.Mprotect(seen, unix.PROT_READ|unix.PROT_WRITE),
	} {
		if err == nil {
			t.Errorf("%s: allowed", name)
		}
	}
	if err := m.Seal(); !errors.Is(err, fault.Invalid) {
		t.Errorf("sealed for good afterwards: %v", err)
	}
	if err := sealed(t, []byte("x")).SealLive(); !errors.Is(err, fault.Invalid) {
		t.Errorf("live after Seal: %v", err)
	}
}
