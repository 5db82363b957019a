// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package demo

import (
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/policy"
)

// onLoopback is how a tcp peer on loopback is known: not at all.
const onLoopback = auth.None

// admitting is the policy of a transport's listener: nobody knows here who
// comes by tcp, so the demonstration lets everyone in there.
func admitting(scheme endpoint.Scheme) []policy.Rule {
	if scheme != endpoint.TCP {
		return nil
	}
	return []policy.Rule{{Who: []string{"anonymous"}, May: []auth.Action{auth.Connect}, On: []string{"endpoint:tcp://**"}}}
}
