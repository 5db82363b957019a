// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{"race": raceRole, "stuck": stuckRole, "churn": churnRole, "visit": visitRole, "host": hostRole, "hold": holdRole})
	goleak.VerifyTestMain(proctest.Isolated(m))
}
