// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// system asks the kernel.
func (c *cost) system() {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "VmRSS:":
			c.resident = n << 10
		case "RssShmem:":
			c.shared = n << 10
		case "Threads:":
			c.threads = n
		}
	}
}

// enoughDescriptors skips where the hard limit is too low for n connections;
// Go has raised the soft one.
func enoughDescriptors(t testing.TB, n int) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if want := uint64(3*n + 100); limit.Max < want {
		t.Skipf("%d connections need up to %d descriptors, the hard limit is %d: raise ulimit -Hn, or lower PARLEY_CONNS", n, want, limit.Max)
	}
}
