// SPDX-License-Identifier: Apache-2.0

package rundir

import (
	"os"
	"strconv"
	"strings"
)

type number struct {
	text string
	n    uint32
}

// numbers returns the entries of dir that are prefix and a canonical uid.
func numbers(dir, prefix string) []number {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // not there, or not ours to read: nothing to show
	}
	var ns []number
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), prefix)
		n, err := strconv.ParseUint(text, 10, 32)
		if ok && err == nil && strconv.FormatUint(n, 10) == text {
			ns = append(ns, number{text, uint32(n)})
		}
	}
	return ns
}
