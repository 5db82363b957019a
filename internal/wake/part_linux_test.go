// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListed(t *testing.T) {
	for list, want := range map[string]int{
		"0\n": 1, "0-3\n": 4, "0-3,8,10-11\n": 7, "": 0, "a-b": 0, "3-1": 0, "0,": 0,
	} {
		if got := listed(list); got != want {
			t.Errorf("%q: %d, want %d", list, got, want)
		}
	}
}

// A thread that parts goes elsewhere at once, and may go anywhere afterwards.
func TestPartMoves(t *testing.T) {
	if affinity() < 2 || !unpinned() {
		t.Skip("needs two processors, and not to be pinned")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was := allowed(t)
	for range 20 {
		before, _ := processor()
		if !part() {
			t.Fatal("could not part")
		}
		// It may have been moved again since, by whoever balances; not every time.
		if after, ok := processor(); ok && after != before {
			if now := allowed(t); now != was {
				t.Errorf("may run on %s afterwards, on %s before", now, was)
			}
			return
		}
	}
	t.Error("stayed where it was 20 times")
}

// A thread with one processor to itself stays.
func TestPartLeavesThePinned(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	here, ok := processor()
	if !ok {
		t.Fatal("on no processor")
	}
	var only unix.CPUSet
	only.Set(here)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		t.Fatal(err)
	}
	was := allowed(t)
	if part() {
		t.Error("parted")
	}
	if now := allowed(t); now != was {
		t.Errorf("may run on %s afterwards, on %s before", now, was)
	}
}

// allowed is the kernel's word on where the calling thread may run.
func allowed(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(list)
		}
	}
	t.Fatal("no Cpus_allowed_list")
	return ""
}
