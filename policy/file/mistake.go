// SPDX-License-Identifier: Apache-2.0

package file

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxMistakes bounds what is told of one file.
const maxMistakes = 20

// Mistake is something wrong, or for Lint merely odd, at a place in a file.
type Mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line"`           // counted from 1
	Column int    `json:"column"`         // counted from 1
	What   string `json:"what"`           // what is wrong
	Hint   string `json:"hint,omitempty"` // what would be right; may be empty
}

// String reads "policy.yaml:3:10: what is wrong (what would be right)".
func (m Mistake) String() string {
	s := fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.What)
	if m.Hint != "" {
		s += " (" + m.Hint + ")"
	}
	return s
}

// Mistakes is the error of a file that cannot be loaded: everything wrong
// with it in the order of the file, up to 20.
type Mistakes []Mistake

// Error lists the mistakes, one a line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// place is where in the file a node stands.
type place struct{ line, column int }

func placeOf(n *yaml.Node) place { return place{max(n.Line, 1), max(n.Column, 1)} }

// sorted returns ms in the order of the file, cut at maxMistakes with a last
// line that says how many more there are.
func sorted(ms []Mistake) Mistakes {
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if more := len(ms) - maxMistakes; more > 0 {
		cut := ms[maxMistakes]
		cut.What, cut.Hint = fmt.Sprintf("and %d more from here on", more), ""
		ms = append(ms[:maxMistakes:maxMistakes], cut)
	}
	return ms
}
