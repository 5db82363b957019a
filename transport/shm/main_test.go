// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"maps"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	roles := map[string]proctest.Role{}
	for _, b := range backends {
		maps.Copy(roles, transporttest.Roles(b))
	}
	proctest.Main(m, roles)
}
