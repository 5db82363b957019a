// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// Report is what -json prints.
type Report struct {
	Machine string
	Rounds  int
	Rows    []Row
}

// Row is one subject's medians for one size.
type Row struct {
	Mode           string
	Size           int // bytes
	Subject        string
	Baseline       string  `json:",omitempty"`
	Nanoseconds    float64 // per message
	CPUNanoseconds float64 // per message, both processes
	Ratio          float64 `json:",omitempty"` // of time to the baseline's, median of rounds
	RatioLow       float64 `json:",omitempty"` // its quartiles
	RatioHigh      float64 `json:",omitempty"`
	CPURatio       float64 `json:",omitempty"`
}

// print writes the rows as a table.
func (r Report) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\n%d rounds, medians; [quartiles]\n", r.Machine, r.Rounds)
	mode := ""
	for _, row := range r.Rows {
		if row.Mode != mode {
			mode = row.Mode
			fmt.Fprintf(tw, "\n%s\tsize\ttime\trate\tCPU, both\ttime / net\t\tCPU / net\t\n", mode)
		}
		ratio, quartiles, cpu := "", "", ""
		if row.Baseline != "" {
			ratio, quartiles = fmt.Sprintf("%.3f", row.Ratio), fmt.Sprintf("[%.3f–%.3f]", row.RatioLow, row.RatioHigh)
			cpu = fmt.Sprintf("%.3f", row.CPURatio)
		}
		fmt.Fprintf(tw, "%s\t%s\t%.2f µs\t%.0f MB/s\t%.2f µs\t%s\t%s\t%s\t\n", row.Subject, sizeName(row.Size),
			row.Nanoseconds/1e3, row.rate(), row.CPUNanoseconds/1e3, ratio, quartiles, cpu)
	}
	return tw.Flush()
}

// rate is the payload's, in one direction, in 10⁶ bytes per second.
func (r Row) rate() float64 { return float64(r.Size) / r.Nanoseconds * 1e3 }

func sizeName(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// describe names the machine as far as figures depend on it.
func describe() string {
	parts := []string{fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		parts = append(parts, model)
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		release, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-") // the rest is the builder's own
		parts = append(parts, "kernel "+release)
	}
	return strings.Join(parts, ", ")
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
