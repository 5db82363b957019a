// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/activation"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tcp"
	"github.com/parley-ipc/parley/transport/tls"
	"github.com/parley-ipc/parley/transport/unix"
)

// inherited listens on the socket that the service manager bound at addr; nil
// and no error if there is none.
func (lc *ListenConfig) inherited(ctx context.Context, addr endpoint.Address) (transport.Listener, error) {
	raw, found, err := activation.Process().Find(addr)
	if err != nil || !found {
		return nil, err
	}
	switch addr.Scheme {
	case endpoint.SHM:
		return shm.ListenOn(ctx, raw, addr, shm.ListenConfig{ListenConfig: lc.ListenConfig, Options: lc.SHM})
	case endpoint.TCP:
		return tcp.ListenOn(ctx, raw, addr, lc.ListenConfig)
	case endpoint.TLS:
		return tls.ListenOn(ctx, raw, addr, lc.ListenConfig, lc.TLS)
	default: // activation finds sockets only
		return unix.ListenOn(ctx, raw, addr, lc.ListenConfig)
	}
}
