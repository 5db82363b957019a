// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{"set": setRole, "get": getRole, "watch": watchRole, "named": namedRole})
	goleak.VerifyTestMain(proctest.Isolated(m))
}
