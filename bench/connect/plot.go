// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/go-analyze/charts"
)

// plot draws the ratios as bars, a group for each size.
func plot(path string, r Report) error {
	var names, sizes []string
	values := map[string][]float64{}
	for _, row := range r.Rows {
		if row.Baseline == "" {
			continue
		}
		name := row.Subject + ", " + row.Mode
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if size := sizeName(row.Size); !slices.Contains(sizes, size) {
			sizes = append(sizes, size)
		}
		values[name] = append(values[name], row.Ratio)
	}
	var data [][]float64
	for _, name := range names {
		data = append(data, values[name])
	}
	opt := charts.NewBarChartOptionWithData(data)
	opt.Title = charts.TitleOption{Text: "Time beside Go's net (1.0 = the same, less is better)", Subtext: r.Machine}
	opt.CategoryAxis.Labels = sizes
	opt.Legend = charts.LegendOption{SeriesNames: names, Offset: charts.OffsetStr{Top: "50"}}
	opt.ValueAxis = []charts.ValueAxisOption{{Min: charts.Ptr(0.0)}}
	opt.ValueFormatter = func(v float64) string { return fmt.Sprintf("%.2f", v) }
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: "svg", Width: 900, Height: 500})
	if err := painter.BarChart(opt); err != nil {
		return err
	}
	svg, err := painter.Bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(path, svg, 0o644)
}
