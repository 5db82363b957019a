// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package tcp_test

import "github.com/parley-ipc/parley/internal/proctest"

var ownRoles map[string]proctest.Role
