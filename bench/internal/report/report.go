// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// Report is what a benchmark prints.
type Report struct {
	Machine string
	Command string
	Plan    party.Plan
	Rows    []Row
	Targets []Verdict
}

// Row is one subject's medians in one cell.
type Row struct {
	Cell     string
	Subject  string
	Figures  party.Figures // medians over rounds
	Low      float64       // quartiles of what the cell is about, in nanoseconds
	High     float64
	Relative float64 // to the best of the cell, 1 being that
}

// Add makes rows of a cell's samples, best first; metric is what the cell is
// about.
func (r *Report) Add(cell party.Cell, samples party.Samples, metric string) {
	rows := make([]Row, 0, len(samples))
	for name, fs := range samples {
		if len(fs) == 0 {
			continue
		}
		row := Row{Cell: cell.String(), Subject: name, Figures: party.Figures{}}
		for key := range fs[0] {
			row.Figures[key] = median(fs, key)
		}
		row.Low, row.High = quartiles(fs, metric)
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return compare(a.Figures[metric], b.Figures[metric]) })
	for i := range rows {
		rows[i].Relative = rows[i].Figures[metric] / rows[0].Figures[metric]
	}
	r.Rows = append(r.Rows, rows...)
}

func compare(a, b float64) int {
	if a < b {
		return -1
	}
	return 1
}

// Print writes the report as tables of Markdown, which people can read too.
func (r *Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "Machine: %s.\nCommand: `%s`. Medians of %d rounds of about %v.\n", r.Machine, r.Command, r.Plan.Rounds, r.Plan.Batch)
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	cell := ""
	for _, row := range r.Rows {
		if row.Cell != cell {
			cell = row.Cell
			if _, has := row.Figures[party.Least]; has {
				fmt.Fprintf(tw, "\n| %s\t| turns\t| least of them\t| most\t| longest run\t| wait, p99\t| longest wait |\n|---\t|---\t|---\t|---\t|---\t|---\t|--- |\n", cell)
			} else {
				header(tw, cell)
			}
		}
		row.print(tw)
	}
	r.printTargets(tw)
	return tw.Flush()
}

func header(w io.Writer, cell string) {
	fmt.Fprintf(w, "\n| %s\t| median\t| quartiles\t| rate\t| CPU, all sides\t| allocations\t| of the best |\n|---\t|---\t|---\t|---\t|---\t|---\t|--- |\n", cell)
}

func (r *Report) printTargets(w io.Writer) {
	if len(r.Targets) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| target\t| wanted\t| measured\t| beside\t| |\n|---\t|---\t|---\t|---\t|--- |\n")
	for _, t := range r.Targets {
		verdict := "missed"
		switch {
		case t.Missing != "":
			verdict = t.Missing
		case t.Met:
			verdict = "met"
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s |\n", t.Says, t.Wanted, t.Got, t.Against, verdict)
	}
}

func (r Row) print(w io.Writer) {
	if least, has := r.Figures[party.Least]; has {
		f := r.Figures
		fmt.Fprintf(w, "| %s\t| %s\t| %.1f %%\t| %.1f %%\t| %.0f\t| %s\t| %s |\n", r.Subject, rate(f[party.Time]), 100*least, 100*f[party.Most],
			f[party.LongestRun], Nanoseconds(f[party.WaitP99]), Nanoseconds(f[party.LongestWait]))
		return
	}
	unit, value, perSecond, cpu := Nanoseconds, r.Figures[party.Time], rate(r.Figures[party.Time]), Nanoseconds(r.Figures[party.CPU])
	if p50, has := r.Figures[party.Median]; has {
		value = p50
	}
	if memory, has := r.Figures[party.Memory]; has {
		unit, value, perSecond, cpu = kibibytes, memory, "", ""
	}
	fmt.Fprintf(w, "| %s\t| %s\t| %s–%s\t| %s\t| %s\t| %s\t| %.3g× |\n", r.Subject, unit(value), unit(r.Low), unit(r.High), perSecond, cpu, r.allocs(), r.Relative)
}

func kibibytes(n float64) string { return fmt.Sprintf("%.1f KiB", n/1024) }

func (r Row) allocs() string {
	if n, has := r.Figures[party.Allocs]; has && r.Figures[party.Memory] == 0 {
		return fmt.Sprintf("%.1f", n)
	}
	return ""
}

func rate(ns float64) string {
	switch perSecond := 1e9 / ns; {
	case perSecond >= 1e6:
		return fmt.Sprintf("%.3g M/s", perSecond/1e6)
	case perSecond >= 1e3:
		return fmt.Sprintf("%.3g k/s", perSecond/1e3)
	default:
		return fmt.Sprintf("%.3g /s", perSecond)
	}
}
