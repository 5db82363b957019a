// SPDX-License-Identifier: Apache-2.0

package tcpnet

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

// keepAlive finds a peer that vanished without a word within half a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// Dial connects to what addr's host means, one address after the other. It
// connects to the very addresses that it checked, so that a name which changes
// its meaning meanwhile does not lead elsewhere.
func Dial(ctx context.Context, addr endpoint.Address) (*net.TCPConn, error) {
	all, err := resolve(ctx, "dial", addr)
	if err != nil {
		return nil, err
	}
	all = localSystem(all)
	if err := checkPlain("dial", addr, all); err != nil {
		return nil, err
	}
	d := net.Dialer{KeepAliveConfig: keepAlive}
	d.SetMultipathTCP(false)
	for i, ap := range all {
		one, cancel := share(ctx, len(all)-i)
		c, dialErr := d.DialContext(one, "tcp", ap.String())
		cancel()
		if dialErr == nil {
			return c.(*net.TCPConn), nil
		}
		err = dialErr
		if ctx.Err() != nil {
			break
		}
	}
	return nil, dialError(ctx, addr, err)
}

// share gives the next of n attempts its part of the time left.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok || n == 1 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(n))
}

func dialError(ctx context.Context, addr endpoint.Address, err error) error {
	kind, hint := fault.KindOf(err), ""
	switch {
	case ctx.Err() != nil:
		kind = fault.KindOf(context.Cause(ctx))
	case kind == fault.Unavailable:
		hint = "nobody listens there: start the listener, or check the port"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		kind, hint = fault.Unavailable, "no way leads there: check the address and the network"
	}
	return fault.New(kind, "dial", addr.String(), err).WithHint(hint)
}
