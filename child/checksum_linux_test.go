// SPDX-License-Identifier: Apache-2.0

package child

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What was summed is what runs, though another program takes its path between.
func TestSummedFileRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	install := func(name string) []byte {
		t.Helper()
		from, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", b, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		return b
	}
	sum := sha256.Sum256(install("echo"))
	cfg, err := Config{Path: path, Args: []string{"the right one"}, SHA256: sum[:], Plain: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	out, err := newOutput(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	cmd, done, err := command(cfg, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	install("false")
	cmd.Stdout = nil
	if said, err := cmd.Output(); err != nil || string(said) != "the right one\n" {
		t.Errorf("it said %q: %v", said, err)
	}
}
