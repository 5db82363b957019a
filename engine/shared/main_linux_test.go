// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{
		"bench": benchRole, "publish": publishRole, "subscribe": subscribeRole, "owner": ownerRole, "peek": peekRole,
		"borrow": borrowRole, "lend": lendRole,
	})
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// runtimeDir gives the test a runtime directory of its own, with a short name.
func runtimeDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if tt, ok := t.(interface{ Setenv(key, value string) }); ok {
		tt.Setenv("PARLEY_RUNTIME_DIR", dir)
	}
	return dir
}
