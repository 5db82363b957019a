// SPDX-License-Identifier: Apache-2.0

package tcpnet

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

// Claim is the registry entry of a bound listener.
type Claim struct {
	Address  endpoint.Address   // with the actual port
	Counters *endpoint.Counters // never nil
	Release  func() error       // nil if there is no entry
}

// Enter puts ln into the registry under addr; passed says that whoever started
// us bound it. It closes ln if it returns an error. A registry that cannot be written costs the listener its place in
// `parley ls`, not its life: the socket itself is what keeps others off.
func Enter(ctx context.Context, ln *net.TCPListener, addr endpoint.Address, passed bool, logger *slog.Logger) (Claim, error) {
	c := Claim{Address: filled(addr, ln), Counters: new(endpoint.Counters)}
	acquire := endpoint.Acquire
	if passed {
		acquire = endpoint.AcquireBound
	}
	entry, err := acquire(ctx, c.Address)
	switch kind := fault.KindOf(err); {
	case err == nil:
		c.Counters, c.Release = entry.Counters(), entry.Close
	case kind == fault.InUse || kind == fault.Canceled || kind == fault.Timeout:
		return Claim{}, errors.Join(err, ln.Close())
	case kind == fault.Unsupported:
		logger.Debug("no registry here", "address", c.Address.String())
	default:
		logger.Warn("listening without a registry entry: `parley ls` will not show it", "address", c.Address.String(), "error", err)
	}
	return c, nil
}
