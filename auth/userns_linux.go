// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

// Mapped reports whether uid, as the kernel shows it to us, is a user of our
// namespace. A uid from outside shows as the overflow uid (65534), which is
// then not the user nobody; only a namespace in which every uid is mapped, as
// on a plain host, can tell the two apart.
func Mapped(uid uint32) bool {
	overflow, whole := userNamespace()
	return uid != overflow || whole
}

// userNamespace reads the overflow uid and whether our uid map covers every
// uid. A process cannot change its user namespace once it has threads.
var userNamespace = sync.OnceValues(func() (overflow uint32, whole bool) {
	overflow = 65534
	if text, err := os.ReadFile("/proc/sys/kernel/overflowuid"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32); err == nil {
			overflow = uint32(n)
		}
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	return overflow, err == nil && mapsEverything(string(text))
})

// mapsEverything reads lines of "inside outside count".
func mapsEverything(uidMap string) bool {
	f := strings.Fields(uidMap)
	return len(f) == 3 && f[0] == "0" && f[2] == "4294967295"
}
