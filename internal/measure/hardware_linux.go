// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"os"
	"strings"
)

// hardware names the processor and the kernel.
func hardware() (cpu, kernel string) {
	cpu, kernel = "unknown processor", "Linux"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			if strings.TrimSpace(key) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel += " " + strings.TrimSpace(string(text))
	}
	return cpu, kernel
}
