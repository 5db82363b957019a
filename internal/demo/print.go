// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// column is one check of a section and the two lines above it.
type column struct{ check, head, unit string }

// table is what stands side by side.
type table []column

// Print writes the report as tables, and what failed below them.
func (r Report) Print(w io.Writer, colour bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Machine)
	for _, s := range sections() {
		for _, t := range s.tables {
			b.WriteByte('\n')
			r.printTable(&b, s, t, colour)
		}
	}
	r.printNotes(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) printTable(b *strings.Builder, s section, t table, colour bool) {
	lines := t.heads(s.name)
	heads := len(lines)
	for _, m := range s.rows {
		line, played := []string{m.name}, false
		for _, c := range t {
			res, found := r.find(s.name, m.name, c.check)
			line, played = append(line, res.Text), played || found
		}
		if played {
			lines = append(lines, line)
		}
	}
	width := make([]int, len(t)+1)
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for n, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2)
			text.WriteString(paint(cell, n < heads, colour) + pad)
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
}

// heads are the lines above the rows: what is checked and, unless no column
// says it, in which unit.
func (t table) heads(name string) [][]string {
	head, unit := []string{name}, []string{""}
	for _, c := range t {
		head, unit = append(head, c.head), append(unit, c.unit)
	}
	if strings.Join(unit, "") == "" {
		return [][]string{head}
	}
	return [][]string{head, unit}
}

// paint makes headings bold and failures red.
func paint(cell string, head, colour bool) string {
	switch {
	case !colour || cell == "":
		return cell
	case head:
		return "\x1b[1m" + cell + "\x1b[0m"
	case cell == failedText:
		return "\x1b[31m" + cell + "\x1b[0m"
	}
	return cell
}

func (r Report) find(section, mechanism, check string) (Result, bool) {
	for _, res := range r.Results {
		if res.Section == section && res.Mechanism == mechanism && res.Check == check {
			return res, true
		}
	}
	return Result{}, false
}

func (r Report) printNotes(b *strings.Builder) {
	b.WriteByte('\n')
	for _, res := range r.Results {
		if res.State == Failed {
			fmt.Fprintf(b, "FAILED %s, %s: %s\n", res.Mechanism, res.Check, res.Why)
		}
	}
	if r.Absent > 0 {
		fmt.Fprintf(b, "– %d do not apply here (--json says why)\n", r.Absent)
	}
	if r.Failed > 0 {
		fmt.Fprintf(b, "%d checks failed, %d passed\n", r.Failed, r.Passed)
		return
	}
	fmt.Fprintf(b, "%d checks passed\n", r.Passed)
}
