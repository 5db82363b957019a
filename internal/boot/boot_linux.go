// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"encoding/hex"
	"os"
	"strings"
)

// ID identifies this boot of the machine; all zeros if it cannot be known.
func ID() (id [16]byte) {
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
