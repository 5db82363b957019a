// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"net"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport/transporttest"
)

// What fits every handshake; TestHostileClients has the attacks on this one.
func TestHostile(t *testing.T) {
	transporttest.Hostile(t, overRings, func(ctx context.Context, addr string) (net.Conn, error) {
		a, err := endpoint.Parse(addr)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, "unix", a.Path)
	})
}
