// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
)

const (
	owner    uint32 = 54321 // uids that nothing else here uses
	stranger uint32 = 54322

	privateEnv = "PARLEY_TEST_PRIVATE_RUN"
)

// privateRun runs the test again in a mount namespace with a /run of its own,
// and reports whether we are in there: the real /run/parley, with real uids,
// and nobody else's is touched.
func privateRun(t *testing.T) bool {
	t.Helper()
	if os.Getenv(privateEnv) != "" {
		if err := errors.Join(syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"), os.Mkdir("/run/parley", 0o755),
			os.Chmod("/run/parley", 0o777|os.ModeSticky), os.Unsetenv("PARLEY_RUNTIME_DIR")); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts processes of other uids")
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("needs a mount namespace, which this machine does not let us make: %v: %s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), privateEnv+"=1", "XDG_RUNTIME_DIR=", "TMPDIR=/tmp")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func as(t *testing.T, uid uint32, role string, args ...string) *proctest.Process {
	t.Helper()
	return proctest.StartWith(t, proctest.Options{Role: role, Args: args, UID: &uid, GID: &uid, Dir: "/"})
}

// TestAnotherUser is denied by default and admitted by a rule; the owner and
// root always are, and the log says who was refused and why.
func TestAnotherUser(t *testing.T) {
	if !privateRun(t) {
		return
	}
	pub := as(t, owner, "owner")
	pub.Expect("publishing")
	if got := as(t, stranger, "peek", "mem://54321@desk").Hear(); !strings.HasPrefix(got, "denied|") || strings.Contains(got, "no policy") {
		t.Errorf("a stranger: %s", got)
	}
	pub.Say("log")
	if log := pub.Hear(); !strings.Contains(log, "msg=denied") || !strings.Contains(log, "who=uid:54322") || !strings.Contains(log, "may not subscribe topic:prices") {
		t.Errorf("the log lacks it:\n%s", log)
	}
	for _, uid := range []uint32{owner, 0} {
		as(t, uid, "peek", "mem://54321@desk").Expect("ok kept")
	}
	as(t, owner, "peek", "mem://desk").Expect("ok kept")
	pub.Done()
	if err := pub.Wait(); err != nil {
		t.Error(err)
	}
	pub = as(t, owner, "owner", "uid:54322")
	pub.Expect("publishing")
	as(t, stranger, "peek", "mem://54321@desk").Expect("ok kept")
	if got := as(t, stranger+1, "peek", "mem://54321@desk").Hear(); !strings.HasPrefix(got, "denied|") {
		t.Errorf("a third one: %s", got)
	}
	pub.Done()
}
