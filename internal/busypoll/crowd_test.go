// SPDX-License-Identifier: Apache-2.0

package busypoll

import "testing"

func TestCrowdCountsSockets(t *testing.T) {
	var c crowd
	var seen [5]int64
	note := func(at int64, sockets ...int) (n int32) {
		for _, i := range sockets {
			n = c.noteAt(at, &seen[i])
		}
		return n
	}
	for _, step := range []struct {
		why     string
		at      int64
		sockets []int
		want    int32
	}{
		{"one, again and again", 1, []int{0, 0, 0}, 1},
		{"three of them", 1, []int{1, 2, 0, 1, 2}, 3},
		{"the span before still counts", 2, []int{0}, 3},
		{"a busier span", 2, []int{1, 2, 3, 4}, 5},
		{"and the one after it", 3, []int{0}, 5},
		{"then only what is busy now", 4, []int{0}, 1},
		{"nothing of long ago", 10, []int{3}, 1},
	} {
		if got := note(step.at, step.sockets...); got != step.want {
			t.Errorf("%s: %d, want %d", step.why, got, step.want)
		}
	}
}
