// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	roles := transporttest.Roles(overRings, overBoth, overSocket)
	roles["bench"] = benchServer
	roles["exchange"] = exchangeRole
	roles["hoard"] = hoardRole
	roles["idle"] = idleRole
	roles["spin"] = spinRole
	proctest.Main(m, roles)
}
