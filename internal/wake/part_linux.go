// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// part moves the calling thread to another processor than the one it is on,
// and leaves it free to run anywhere again. The kernel takes a thread at once
// from a processor that it may not use, where its balancing waits for a clock
// tick or for several.
func part() bool {
	runtime.LockOSThread() // or the calls might be two threads', and a thread that is made in between would inherit
	defer runtime.UnlockOSThread()
	var others unix.CPUSet
	if err := unix.SchedGetaffinity(0, &others); err != nil {
		return false
	}
	here, ok := processor()
	if !ok || !others.IsSet(here) || others.Count() < 2 {
		return false
	}
	others.Clear(here)
	if err := unix.SchedSetaffinity(0, &others); err != nil {
		return false
	}
	_ = unix.SchedSetaffinity(0, everywhere())
	return true
}

// everywhere is all processors, also those that a cpuset forbids today: the
// kernel leaves them out for as long as it does.
func everywhere() *unix.CPUSet {
	var all unix.CPUSet
	for i := range all {
		all[i]--
	}
	return &all
}

// unpinned says whether this process may run on every processor there is, so
// that everywhere is what its threads had.
func unpinned() bool {
	b, err := os.ReadFile("/sys/devices/system/cpu/online")
	return err == nil && affinity() == listed(string(b))
}

// listed counts the processors of a list such as 0-3,8.
func listed(s string) int {
	n := 0
	for r := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		a, err := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err != nil || err2 != nil || b < a {
			return 0
		}
		n += b - a + 1
	}
	return n
}
