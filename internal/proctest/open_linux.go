// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"os"
	"strings"
	"testing"
)

// OpenFiles names what this process's descriptors lead to, as the kernel does.
// One of them is the look itself, which has no name.
func OpenFiles() (names []string, err error) {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		name, _ := os.Readlink(dir + "/" + e.Name())
		names = append(names, name)
	}
	return names, err
}

// Descriptors counts those that this process has open, one of which is the
// look itself.
func Descriptors(t testing.TB) int {
	t.Helper()
	names, err := OpenFiles()
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// Held counts this process's descriptors and mappings of files whose names
// contain part.
func Held(part string) (descriptors, mappings int, err error) {
	names, err := OpenFiles()
	if err != nil {
		return 0, 0, err
	}
	for _, name := range names {
		if strings.Contains(name, part) {
			descriptors++
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	return descriptors, strings.Count(string(maps), part), err
}
