// SPDX-License-Identifier: Apache-2.0

package filelock

import "github.com/parley-ipc/parley/internal/proctest"

func roles() map[string]proctest.Role {
	return map[string]proctest.Role{"hold": hold, "count": count, "owner": owner}
}
