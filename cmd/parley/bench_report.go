// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/measure"
)

// benchReport is what bench connect prints.
type benchReport struct {
	Machine string     `json:"machine"`
	Spin    string     `json:"spin"` // how both sides of shm wait
	Rounds  int        `json:"rounds"`
	Rows    []benchRow `json:"rows"`
}

// benchRow is one cell of the measurement: medians over its rounds, but for
// what is said to be over all trips.
type benchRow struct {
	Mode   benchMode       `json:"mode"`
	Size   int             `json:"size"` // of a message, in bytes
	Scheme endpoint.Scheme `json:"scheme"`

	Time float64 `json:"ns"`     // the median round trip, or one message one way
	CPU  float64 `json:"cpu_ns"` // both sides, for one message

	P99  float64       `json:"p99_ns,omitempty"`   // round trips only, as the next three
	P999 time.Duration `json:"p99_9_ns,omitempty"` // over all trips
	Max  time.Duration `json:"max_ns,omitempty"`   // over all trips
	N    int           `json:"trips,omitempty"`

	PerSecond float64 `json:"bytes_per_second,omitempty"` // one way only

	// Time against the base's: the median of the rounds' own ratios, so that
	// what disturbs a round disturbs both sides of it.
	Base  endpoint.Scheme `json:"base"`
	Ratio float64         `json:"ratio"`
}

// benchRows turns rounds into figures. The base is unix or, without it, the
// first.
func benchRows(subjects []*subject, mode benchMode, size int) []benchRow {
	base := subjects[0]
	for _, s := range subjects {
		if s.scheme == endpoint.Unix {
			base = s
		}
	}
	var rows []benchRow
	for _, s := range subjects {
		row := benchRow{Mode: mode, Size: size, Scheme: s.scheme, Base: base.scheme}
		row.Time = medianOf(s.rounds, func(_ int, r benchRound) float64 { return r.time })
		row.P99 = medianOf(s.rounds, func(_ int, r benchRound) float64 { return r.p99 })
		row.CPU = medianOf(s.rounds, func(_ int, r benchRound) float64 { return r.cpu })
		row.Ratio = medianOf(s.rounds, func(i int, r benchRound) float64 { return r.time / max(base.rounds[i].time, 1) })
		if s.all != nil {
			row.P999, row.Max, row.N = s.all.Quantile(0.999), s.all.Max(), s.all.Count()
		}
		if mode == benchFlow {
			row.PerSecond = float64(size) / max(row.Time, 0.001) * 1e9
		}
		rows = append(rows, row)
	}
	return rows
}

func medianOf(rounds []benchRound, of func(int, benchRound) float64) float64 {
	var xs []float64
	for i, r := range rounds {
		xs = append(xs, of(i, r))
	}
	return measure.Median(xs)
}

func (a *app) reportBench(r benchReport, plot string) error {
	if plot != "" {
		if err := plotBench(plot, r); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(r)
	}
	return a.printBench(r)
}

func (a *app) printBench(r benchReport) error {
	fmt.Fprintf(a.out, "%s\nmedians of %d rounds; CPU is of both sides, for one message; shm spins: %s\n", r.Machine, r.Rounds, r.Spin)
	for _, mode := range benchModes {
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "\n%s\n", mode)
		for i, row := range slices.Collect(benchRowsOf(r, mode)) {
			if i == 0 {
				fmt.Fprintf(w, "size\t\t%s\t%s\t×%s\t\n", strings.Join(figureHeads(mode), "\t"), "CPU µs", row.Base)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\t\n", sizeText(row.Size), row.Scheme, strings.Join(row.figures(), "\t"), micros(row.CPU), row.Ratio)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func benchRowsOf(r benchReport, mode benchMode) func(func(benchRow) bool) {
	return func(yield func(benchRow) bool) {
		for _, row := range r.Rows {
			if row.Mode == mode && !yield(row) {
				return
			}
		}
	}
}

func figureHeads(mode benchMode) []string {
	if mode == benchFlow {
		return []string{"GB/s", "messages/s"}
	}
	return []string{"p50 µs", "p99 µs", "p99.9 µs", "max µs"}
}

func (row benchRow) figures() []string {
	if row.Mode == benchFlow {
		return []string{fmt.Sprintf("%.3f", row.PerSecond/1e9), fmt.Sprintf("%.0f", 1e9/max(row.Time, 0.001))}
	}
	return []string{micros(row.Time), micros(row.P99), measure.Microseconds(row.P999), measure.Microseconds(row.Max)}
}

func micros(ns float64) string { return measure.Microseconds(time.Duration(ns)) }

func sizeText(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
