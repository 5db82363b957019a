// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/internal/measure"
)

// Target is a promise about a ratio within one run, or about one figure.
type Target struct {
	Says    string     // what was promised
	Cell    party.Cell // of the subject
	Metric  string     // Time, Median or CPU
	Subject string

	// Against are the subjects of which the best counts; none: the figure
	// itself is judged.
	Against []string
	Over    *party.Cell // of Against, default Cell

	// Exactly one is set. AtMost bounds the subject's figure as a multiple of
	// Against's, Faster bounds Against's as a multiple of the subject's.
	// Without Against, AtMost is in nanoseconds and Rate in messages a second.
	AtMost, Faster, Rate float64
}

// Verdict is a judged target.
type Verdict struct {
	Says    string
	Against string `json:",omitempty"` // who was the best
	Wanted  string
	Got     string
	Met     bool
	Missing string `json:",omitempty"` // why it was not judged
}

// Judge compares the samples with the target.
func (t Target) Judge(all map[string]party.Samples) Verdict {
	v := Verdict{Says: t.Says}
	own := all[t.Cell.String()][t.Subject]
	if len(own) == 0 {
		v.Missing = t.Subject + " was not measured"
		return v
	}
	if len(t.Against) == 0 {
		t.judgeFigure(&v, median(own, t.Metric))
		return v
	}
	over := t.Cell
	if t.Over != nil {
		over = *t.Over
	}
	best, ratio := t.best(own, all[over.String()])
	if best == "" {
		v.Missing = "nobody to compare with was measured"
		return v
	}
	v.Against = best
	if t.AtMost > 0 {
		v.Wanted, v.Got, v.Met = fmt.Sprintf("≤ %.3g×", t.AtMost), fmt.Sprintf("%.3g×", 1/ratio), 1/ratio <= t.AtMost
	} else {
		v.Wanted, v.Got, v.Met = fmt.Sprintf("≥ %.3g×", t.Faster), fmt.Sprintf("%.3g×", ratio), ratio >= t.Faster
	}
	return v
}

func (t Target) judgeFigure(v *Verdict, got float64) {
	if t.Rate > 0 {
		rate := 1e9 / got
		v.Wanted, v.Got, v.Met = fmt.Sprintf("≥ %.3g M/s", t.Rate/1e6), fmt.Sprintf("%.3g M/s", rate/1e6), rate >= t.Rate
		return
	}
	v.Wanted, v.Got, v.Met = "≤ "+Nanoseconds(t.AtMost), Nanoseconds(got), got <= t.AtMost
}

// best is the strongest of Against and how many times its figure ours is: the
// median of the rounds' own ratios.
func (t Target) best(own []party.Figures, peers party.Samples) (name string, ratio float64) {
	for _, peer := range t.Against {
		samples := peers[peer]
		n := min(len(samples), len(own))
		if n == 0 {
			continue
		}
		ratios := make([]float64, n)
		for i := range n {
			ratios[i] = samples[i][t.Metric] / own[i][t.Metric]
		}
		if r := measure.Median(ratios); name == "" || r < ratio {
			name, ratio = peer, r
		}
	}
	return name, ratio
}

func median(samples []party.Figures, metric string) float64 {
	xs := make([]float64, len(samples))
	for i, f := range samples {
		xs[i] = f[metric]
	}
	return measure.Median(xs)
}

// quartiles are the spread of a metric.
func quartiles(samples []party.Figures, metric string) (low, high float64) {
	xs := make([]float64, len(samples))
	for i, f := range samples {
		xs[i] = f[metric]
	}
	slices.Sort(xs)
	return xs[len(xs)/4], xs[len(xs)*3/4]
}

// Nanoseconds writes a time so that three digits count.
func Nanoseconds(ns float64) string {
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%.3g ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.3g µs", ns/1e3)
	}
	return fmt.Sprintf("%.3g ms", ns/1e6)
}
