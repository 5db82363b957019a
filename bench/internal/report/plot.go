// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/go-analyze/charts"
)

// Plot draws into an SVG file how many times the time of the fastest each
// subject takes, a group of bars for each of the cells named.
func (r *Report) Plot(path, title string, cells []string) error {
	var names []string
	for _, row := range r.Rows {
		if slices.Contains(cells, row.Cell) && !slices.Contains(names, row.Subject) {
			names = append(names, row.Subject)
		}
	}
	data := make([][]float64, len(names))
	for i, name := range names {
		for _, cell := range cells {
			data[i] = append(data[i], r.relative(cell, name))
		}
	}
	opt := charts.NewBarChartOptionWithData(data)
	opt.Title = charts.TitleOption{Text: title, Subtext: r.Machine}
	opt.CategoryAxis.Labels = cells
	opt.Legend = charts.LegendOption{SeriesNames: names, Offset: charts.OffsetStr{Top: "50"}}
	opt.ValueAxis = []charts.ValueAxisOption{{Min: charts.Ptr(0.0)}}
	opt.ValueFormatter = func(v float64) string { return fmt.Sprintf("%.3g", math.Pow(10, v)) }
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: "svg", Width: 1100, Height: 600})
	if err := painter.BarChart(opt); err != nil {
		return err
	}
	svg, err := painter.Bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(path, svg, 0o644)
}

// relative is the logarithm of a row's multiple of the fastest, 0 where there
// is none.
func (r *Report) relative(cell, name string) float64 {
	for _, row := range r.Rows {
		if row.Cell == cell && row.Subject == name {
			return math.Log10(max(1, row.Relative))
		}
	}
	return 0
}
