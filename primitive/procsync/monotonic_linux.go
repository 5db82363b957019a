// SPDX-License-Identifier: Apache-2.0

package procsync

import "golang.org/x/sys/unix"

func monotonic() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it has no way to fail
	return uint64(ts.Nano())
}
