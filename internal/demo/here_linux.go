// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/policy"
)

// onLoopback is how a tcp peer on loopback is known.
const onLoopback = auth.SockDiag

// admitting is the policy of a transport's listener: the default.
func admitting(endpoint.Scheme) []policy.Rule { return nil }
