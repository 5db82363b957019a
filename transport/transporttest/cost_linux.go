// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"os"
	"strconv"
	"strings"
)

func residentAndThreads() (resident, threads int) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "VmRSS:":
			resident = n << 10
		case "Threads:":
			threads = n
		}
	}
	return resident, threads
}
