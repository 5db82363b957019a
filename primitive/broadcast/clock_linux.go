// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic returns a clock that reads CLOCK_MONOTONIC in nanoseconds. Go's
// own is the same clock without a name for its origin, and takes no system
// call.
func monotonic() func() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return func() int64 { return 0 }
	}
	base, start := ts.Nano(), time.Now()
	return func() int64 { return base + int64(time.Since(start)) }
}
