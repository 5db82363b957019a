// SPDX-License-Identifier: Apache-2.0

package proctest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
)

func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	uid, gid := uint32(54321), uint32(54322)
	p := proctest.StartWith(t, proctest.Options{Role: "whoami", UID: &uid, GID: &gid})
	if got := p.Hear(); !strings.HasPrefix(got, "uid 54321 gid 54322 ") {
		t.Errorf("child said %q", got)
	}
}

func TestPrefix(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to make namespaces")
	}
	p := proctest.StartWith(t, proctest.Options{Role: "whoami", Prefix: []string{"unshare", "--pid", "--mount", "--fork", "--mount-proc"}})
	if got := p.Hear(); !strings.Contains(got, " pid 1 ") {
		t.Errorf("child said %q, want pid 1", got)
	}
	mute := proctest.StartWith(t, proctest.Options{Role: "mute", Prefix: []string{"unshare", "--pid", "--mount", "--fork", "--mount-proc"}})
	mute.Expect("here")
	mute.Kill() // goes through the prefix, or Kill would take its whole limit
}
