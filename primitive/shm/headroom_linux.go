// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/cgroup"
)

// slack is what a memory control group must have left beyond a reservation,
// so that the program around it can go on allocating.
const slack = 8 << 20

// headroom refuses a reservation that would take our memory control group to
// its limit, where the kernel kills instead of answering. It is racy by
// nature: it narrows the window, it does not close it.
func headroom(size int) error {
	free, limited := cgroup.MemoryFree()
	if !limited || int64(size)+slack <= free {
		return nil
	}
	return fault.New(fault.Exhausted, "reserve segment", "",
		fmt.Errorf("%d bytes asked, %d left in the memory control group, of which %d stay free", size, max(free, 0), slack)).
		WithHint("raise the container's memory limit, or lower the ring size")
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
