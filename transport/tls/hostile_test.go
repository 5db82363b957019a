// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	"context"
	"net"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport/transporttest"
)

func TestHostile(t *testing.T) {
	transporttest.Hostile(t, backend, func(ctx context.Context, addr string) (net.Conn, error) {
		a, err := endpoint.Parse(addr)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, "tcp", a.Host)
	})
}
