// SPDX-License-Identifier: Apache-2.0

package fifo_test

import "github.com/parley-ipc/parley/internal/proctest"

var roles = map[string]proctest.Role{}
