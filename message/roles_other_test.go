// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package message

import "github.com/parley-ipc/parley/internal/proctest"

var roles map[string]proctest.Role
