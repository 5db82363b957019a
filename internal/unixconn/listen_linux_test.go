// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode().Perm()
}

func TestListenSetsTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, mode := range []fs.FileMode{0o600, 0o666} {
		ln, err := Listen(path, "unix://"+path, mode)
		if err != nil {
			t.Fatal(err)
		}
		if got := modeOf(t, path); got != mode {
			t.Errorf("mode %o, want %o", got, mode)
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever may write to the directory can put a link to a file of ours in the
// socket's place between bind and chmod.
func TestModeOfAnotherFileStays(t *testing.T) {
	dir := t.TempDir()
	secret, link := filepath.Join(dir, "secret"), filepath.Join(dir, "s")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, secret} {
		if err := setMode(path, 0o666); err == nil {
			t.Errorf("%s is no socket, and its mode was set", path)
		}
	}
	if got := modeOf(t, secret); got != 0o600 {
		t.Errorf("the file's mode became %o", got)
	}
}
