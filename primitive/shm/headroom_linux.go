// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/cgroup"
)

// slack is what must be left beyond a reservation, so that the program around
// it can go on allocating.
const slack = 8 << 20

// headroom refuses a reservation that would take the machine or our memory
// control group to its limit, where the kernel kills instead of answering:
// memory files have no size limit of their own. It is racy by nature: it
// narrows the window, it does not close it.
func headroom(size int) error {
	group, limited := cgroup.MemoryFree()
	if limited && !fits(size, group) {
		return noRoom(size, group, "the memory control group", "raise the container's memory limit, or lower the ring size")
	}
	if machine, ok := memAvailable(); ok && !fits(size, machine) {
		return noRoom(size, machine, "the machine", "lower the ring size or the budget, or end something else")
	}
	return nil
}

func fits(size int, free int64) bool { return int64(size) <= free-slack }

func noRoom(size int, free int64, where, hint string) error {
	return fault.New(fault.Exhausted, "reserve segment", "",
		fmt.Errorf("%d bytes asked, %d left in %s, of which %d stay free", size, max(free, 0), where, slack)).WithHint(hint)
}

// memAvailable is the kernel's estimate of what can be allocated without
// swapping.
func memAvailable() (int64, bool) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	return parseAvailable(string(info))
}

func parseAvailable(info string) (int64, bool) {
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// headroomFor asks only for what the peer has not allocated already.
func headroomFor(fd, size int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if missing := int64(size) - st.Blocks*512; missing > 0 {
		return headroom(int(missing))
	}
	return nil
}
