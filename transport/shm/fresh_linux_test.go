// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"os"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/transport"
)

// A segment that one connection has shared must never serve another: the
// first peer keeps it mapped and would read the second one's data.
func TestSegmentsAreNeverReused(t *testing.T) {
	seen := map[string]bool{}
	for i := range 4 {
		dialer, listener := trustedPair(t)
		now := segments(t)
		fresh := 0
		for id := range now {
			if !seen[id] {
				fresh++
			}
			seen[id] = true
		}
		if fresh < 2 {
			t.Errorf("connection %d has %d segments of its own, want one for each direction", i, fresh)
		}
		for _, c := range []transport.Conn{dialer, listener} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		for id := range segments(t) {
			if now[id] {
				t.Errorf("connection %d left segment %s mapped", i, id)
			}
		}
	}
}

// segments are the memfds that this process maps, by inode.
func segments(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 5 && strings.HasPrefix(f[5], "/memfd:") {
			ids[f[4]] = true
		}
	}
	return ids
}
