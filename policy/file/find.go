// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/parley-ipc/parley/fault"
)

// Environment names the variable that Find looks at.
const Environment = "PARLEY_POLICY"

// systemFile is the last place that Find looks at.
const systemFile = "/etc/parley/policy.yaml"

// Find returns the policy file to use, or "" if there is none. The first of
// these wins: flag, $PARLEY_POLICY, parley/policy.yaml under $XDG_CONFIG_HOME
// (default ~/.config), /etc/parley/policy.yaml. The first two name a file, so
// that it must exist; the others are used if they do. A file that is there
// and cannot be looked at is an error, never passed over.
func Find(flag string) (string, error) {
	for _, named := range []struct{ path, by string }{{flag, "--policy"}, {os.Getenv(Environment), "$" + Environment}} {
		if named.path == "" {
			continue
		}
		if _, err := os.Stat(named.path); err != nil {
			return "", fault.New(fault.KindOf(err), "policy", named.path, cause(err)).WithHint("named by " + named.by)
		}
		return named.path, nil
	}
	for _, path := range unnamed() {
		_, err := os.Lstat(path) // a dangling link is there
		switch {
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return "", fault.Wrap("policy", path, cause(err))
		}
	}
	return "", nil
}

// unnamed lists the usual places. A relative $XDG_CONFIG_HOME is ignored, as
// its specification asks.
func unnamed() []string {
	var paths []string
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		dir = ""
		if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) {
			dir = filepath.Join(home, ".config")
		}
	}
	if dir != "" {
		paths = append(paths, filepath.Join(dir, "parley", "policy.yaml"))
	}
	return append(paths, systemFile)
}
