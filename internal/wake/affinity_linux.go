// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// affinity is the number of processors that we may run on.
func affinity() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return runtime.NumCPU() // more processors than the set holds
	}
	return set.Count()
}
