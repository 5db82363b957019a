// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// more is more memory than any machine has that runs this test.
func more(t *testing.T) int {
	if strconv.IntSize < 64 {
		t.Skip("needs 64 bits: what fewer can count, a machine may have")
	}
	return 1 << (strconv.IntSize - 20)
}

func wantExhausted(t *testing.T, err error) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Exhausted || e.Hint == "" {
		t.Errorf("%v, want an exhaustion that says what to do", err)
	}
}

// Memory that is not there is an error when a segment is made, and not a fault
// when it is touched.
func TestCreateBeyondMemory(t *testing.T) {
	size, before := more(t), proctest.Descriptors(t)
	_, err := Create("huge", size)
	wantExhausted(t, err)
	if now := proctest.Descriptors(t); now != before {
		t.Errorf("%d descriptors before, %d after", before, now)
	}
}

// A peer's segment of holes, which costs the peer nothing, makes us reserve no
// more than there is.
func TestReceiveBeyondMemory(t *testing.T) {
	size := more(t)
	fd, err := unix.MemfdCreate("huge", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	_, err = Receive(fd, size)
	wantExhausted(t, err)
	if err := unix.Close(fd); err == nil {
		t.Error("Receive left the descriptor open")
	}
}

// What the kernel says where it has no more.
func TestRefusedReservation(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.ENOMEM, unix.EMFILE} {
		wantExhausted(t, exhausted("reserve segment", "fallocate", errno))
	}
}
