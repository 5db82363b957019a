// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// Machine describes what figures were measured on: processor, kernel, Go.
func Machine() string {
	cpu, kernel := hardware()
	parts := []string{fmt.Sprintf("%s, %d CPUs", cpu, runtime.NumCPU()), kernel, runtime.Version() + " " + runtime.GOARCH}
	return strings.Join(parts, ", ")
}

// Microseconds writes d with three digits.
func Microseconds(d time.Duration) string {
	us := d.Seconds() * 1e6
	switch {
	case us < 10:
		return fmt.Sprintf("%.2f", us)
	case us < 100:
		return fmt.Sprintf("%.1f", us)
	}
	return fmt.Sprintf("%.0f", us)
}
