// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/go-analyze/charts"
)

const (
	plotWidth  = 900
	plotHeight = 400 // of one mode
)

// plotBench draws a chart for each mode, one below the other: bars in groups
// by size. Round trips of different sizes differ by orders of magnitude, so
// what is drawn is the time beside the base's.
func plotBench(path string, r benchReport) error {
	modes := slices.DeleteFunc(slices.Clone(benchModes), func(m benchMode) bool { return len(slices.Collect(benchRowsOf(r, m))) == 0 })
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: "svg", Width: plotWidth, Height: plotHeight * len(modes)})
	for i, mode := range modes {
		part := painter.Child(charts.PainterBoxOption(charts.NewBox(0, i*plotHeight, plotWidth, (i+1)*plotHeight)))
		if err := plotMode(part, r, mode); err != nil {
			return err
		}
	}
	svg, err := painter.Bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(path, svg, 0o644)
}

func plotMode(painter *charts.Painter, r benchReport, mode benchMode) error {
	var schemes, sizes []string
	var data [][]float64 // by scheme, then size
	base := ""
	for row := range benchRowsOf(r, mode) {
		base = string(row.Base)
		at := slices.Index(schemes, string(row.Scheme))
		if at < 0 {
			at = len(schemes)
			schemes, data = append(schemes, string(row.Scheme)), append(data, nil)
		}
		if size := sizeText(row.Size); !slices.Contains(sizes, size) {
			sizes = append(sizes, size)
		}
		data[at] = append(data[at], row.Ratio)
	}
	opt := charts.NewBarChartOptionWithData(data)
	opt.Title = charts.TitleOption{Text: fmt.Sprintf("%s: time beside %s (less is better)", mode, base), Subtext: r.Machine}
	opt.CategoryAxis.Labels = sizes
	opt.Legend = charts.LegendOption{SeriesNames: schemes, Offset: charts.OffsetStr{Top: "50"}}
	opt.ValueAxis = []charts.ValueAxisOption{{Min: charts.Ptr(0.0)}}
	opt.ValueFormatter = func(v float64) string { return fmt.Sprintf("%.2f", v) }
	return painter.BarChart(opt)
}
