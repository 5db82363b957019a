// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"bufio"
	"os"
	"strings"
)

// held counts our descriptors and shared mappings by what they are.
func held() map[string]int {
	count := map[string]int{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // the descriptor of the listing itself
		}
		kind, _, _ := strings.Cut(target, ":[")
		count["descriptor "+kind]++
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return count
	}
	defer func() { _ = maps.Close() }()
	for in := bufio.NewScanner(maps); in.Scan(); {
		if f := strings.Fields(in.Text()); len(f) > 5 && (strings.Contains(f[5], "memfd:") || strings.HasPrefix(f[5], "/dev/shm")) {
			count["mapping "+f[5]]++
		}
	}
	return count
}
