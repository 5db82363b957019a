// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"math"
	"testing"
)

// The refusal itself is tested on numbers: a reservation that is too large and
// not refused would cost other programs their lives.
func TestFits(t *testing.T) {
	for _, c := range []struct {
		size int
		free int64
		want bool
	}{
		{1, slack, false}, {1, slack + 1, true}, {1 << 20, slack, false}, {1, -5, false},
		{1, math.MaxInt64, true}, {1, math.MinInt64 + slack, false}, {math.MaxInt32, 1 << 30, false},
	} {
		if got := fits(c.size, c.free); got != c.want {
			t.Errorf("fits(%d, %d) = %v", c.size, c.free, got)
		}
	}
}

func TestParseAvailable(t *testing.T) {
	if n, ok := parseAvailable("MemTotal:       24683568 kB\nMemAvailable:   24258292 kB\n"); n != 24258292<<10 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
	for _, s := range []string{"", "MemAvailable: lots kB", "MemFree: 5 kB"} {
		if n, ok := parseAvailable(s); ok {
			t.Errorf("%q: %d", s, n)
		}
	}
	if n, ok := memAvailable(); !ok || n <= 0 {
		t.Errorf("this machine: %d, %v", n, ok)
	}
}
