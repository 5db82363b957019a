// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"
)

// cleanups run when every test has.
var cleanups []func()

func TestMain(m *testing.M) {
	proctest.RunRole(roles())
	goleak.VerifyTestMain(proctest.Isolated(m), goleak.Cleanup(func(code int) {
		for _, clean := range cleanups {
			clean()
		}
		os.Exit(code)
	}))
}
