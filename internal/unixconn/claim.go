// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"context"
	"errors"
	"net"

	"github.com/parley-ipc/parley/endpoint"
)

// Claim claims addr and listens there. The caller closes the listener, then
// the claim.
func Claim(ctx context.Context, addr endpoint.Address) (*net.UnixListener, *endpoint.Claim, error) {
	claim, err := endpoint.Acquire(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	raw, err := Listen(claim.Path(), addr.String(), claim.Mode())
	if err != nil {
		return nil, nil, errors.Join(err, claim.Close())
	}
	if err := claim.Bound(); err != nil {
		return nil, nil, errors.Join(err, raw.Close(), claim.Close())
	}
	return raw, claim, nil
}
