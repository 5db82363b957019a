// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// harmless is what others have written, such as a name or a label, on one line
// and without what a terminal would obey.
func harmless(s string) string { return strings.Map(printable, s) }

// harmlessLines is harmless for a text of several lines.
func harmlessLines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return printable(r)
	}, s)
}

func printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return '?'
	}
	return r
}
