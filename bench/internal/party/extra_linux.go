// SPDX-License-Identifier: Apache-2.0

package party

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ, 100 a second on Linux.
const tick = 10 * time.Millisecond

// processorTime reads what another process has used, to the tick.
func (p *process) processorTime() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The name in brackets may hold anything; utime and stime are the 12th
	// and 13th field after it.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	var user, system time.Duration
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0
	}
	return (user + system) * tick
}
