// SPDX-License-Identifier: Apache-2.0

package auth

import "testing"

func TestUIDMap(t *testing.T) {
	for text, whole := range map[string]bool{
		"         0          0 4294967295\n": true,
		"         0       1000          1\n": false,
		"0 0 1000\n1000 100000 4294966295\n": false,
		"":                                   false,
	} {
		if mapsEverything(text) != whole {
			t.Errorf("mapsEverything(%q) = %v", text, !whole)
		}
	}
}
