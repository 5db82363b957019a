// SPDX-License-Identifier: Apache-2.0

package party

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessorTimeOf is what another process has used. Its clock is named as
// clock_getcpuclockid(3) does: the number's complement, shifted by three, and
// the kind of clock in the low bits.
func ProcessorTimeOf(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// processorTime is ProcessorTimeOf, and nothing for a process that has ended.
func (p *process) processorTime() time.Duration {
	d, err := ProcessorTimeOf(p.cmd.Process.Pid)
	if err != nil {
		return 0
	}
	return d
}
