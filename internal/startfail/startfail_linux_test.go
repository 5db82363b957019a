// SPDX-License-Identifier: Apache-2.0

package startfail_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/startfail"
)

// TestExplain starts what cannot be started.
func TestExplain(t *testing.T) {
	dir := t.TempDir()
	plain, empty := filepath.Join(dir, "plain"), filepath.Join(dir, "empty")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty, []byte("nothing\n"), 0o700); err != nil { //nolint:gosec // to be run
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		program, dir string
		privileged   bool
		kind         fault.Kind
		hint         string
	}{
		"no such program":   {"no-such-program", "", false, fault.NotFound, "install the program"},
		"no such file":      {filepath.Join(dir, "gone"), "", false, fault.NotFound, "absolute path"},
		"no such directory": {"/bin/true", filepath.Join(dir, "gone"), false, fault.NotFound, "working directory"},
		"not executable":    {plain, "", false, fault.Denied, "chmod +x"},
		"another user's":    {plain, "", true, fault.Denied, "needs root"},
		"no program at all": {empty, "", false, fault.Invalid, "#! line"},
		"in the directory":  {"empty", dir, false, fault.Denied, "./"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "in the directory" {
				t.Chdir(dir)
				t.Setenv("PATH", ".")
			}
			cmd := exec.Command(row.program)
			cmd.Dir = row.dir
			err := cmd.Start()
			if err == nil {
				_ = cmd.Wait()
				t.Fatal("it was started")
			}
			e := startfail.Explain("start", "it", row.dir, row.privileged, err)
			if e.Kind != row.kind || !strings.Contains(e.Hint, row.hint) {
				t.Errorf("%v: kind %v, hint %q; want %v, %q", err, e.Kind, e.Hint, row.kind, row.hint)
			}
		})
	}
}
