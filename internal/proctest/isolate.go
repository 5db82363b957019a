// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"fmt"
	"os"
)

// runtimeEnv names the directory in which endpoints are registered.
const runtimeEnv = "PARLEY_RUNTIME_DIR"

// TestRunner is what *testing.M is to a TestMain.
type TestRunner interface{ Run() int }

// Isolated returns m with a runtime directory of its own, so that tests, and
// children of theirs that are killed, leave nothing in the user's.
func Isolated(m TestRunner) TestRunner { return isolated{m} }

type isolated struct{ m TestRunner }

func (i isolated) Run() int {
	if os.Getenv(runtimeEnv) != "" {
		return i.m.Run()
	}
	dir, err := os.MkdirTemp("", "pt") // short: a socket's path has 107 bytes
	if err == nil {
		err = os.Setenv(runtimeEnv, dir)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "proctest: no runtime directory for the tests: %v\n", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return i.m.Run()
}
