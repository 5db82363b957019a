// SPDX-License-Identifier: Apache-2.0

package policy

// nearest asks "did you mean" if one of words is a slip of the pen away from
// word, and otherwise returns forms.
func nearest(word string, words []string, forms string) string {
	best, at := 3, ""
	for _, w := range words {
		if d := distance(word, w, best); d < best && d < len(w) {
			best, at = d, w
		}
	}
	if at == "" || best == 0 {
		return forms
	}
	return "did you mean " + at + "?"
}

// distance is the number of letters to insert, drop or replace to make b of
// a. It gives up at limit.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return min(row[len(b)], limit)
}
