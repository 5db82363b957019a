// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"encoding/hex"
	"os"
	"strings"
)

// bootID identifies this boot of the machine; all zeros if it cannot be known.
func bootID() (id [16]byte) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err == nil {
		copy(id[:], b)
	}
	return id
}
