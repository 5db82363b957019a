// SPDX-License-Identifier: Apache-2.0

// Package report turns samples into tables, drawings and judgements of targets.
package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine names the machine as far as figures depend on it, and the day.
func Machine() string {
	parts := []string{fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		parts = append(parts, model)
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		release, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-") // the rest is the builder's own
		parts = append(parts, "kernel "+release)
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ := strings.Cut(string(b), " ")
		parts = append(parts, "load "+load+" at the start")
	}
	return strings.Join(append(parts, time.Now().Format(time.DateOnly)), ", ")
}

func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
