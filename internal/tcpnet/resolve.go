// SPDX-License-Identifier: Apache-2.0

package tcpnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

// resolve returns what addr's host and port mean, IPv4 first, at least one.
// An empty host is the wildcard.
func resolve(ctx context.Context, op string, addr endpoint.Address) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr.Host)
	if err != nil {
		return nil, fault.New(fault.Invalid, op, addr.String(), err).WithHint("write HOST:PORT")
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, fault.New(fault.Invalid, op, addr.String(), err).WithHint("a port is a number from 0 to 65535 or a service's name")
	}
	ips, err := lookup(ctx, host)
	if err != nil {
		return nil, resolveError(ctx, op, addr, err)
	}
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	all := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		all[i] = netip.AddrPortFrom(ip, uint16(port))
	}
	return all, nil
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if host == "" {
		return []netip.Addr{netip.IPv6Unspecified()}, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	if err == nil && len(ips) == 0 {
		err = fmt.Errorf("%w: the name has no address", fault.NotFound)
	}
	return ips, err
}

func resolveError(ctx context.Context, op string, addr endpoint.Address, err error) error {
	kind := fault.KindOf(err)
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		kind = fault.KindOf(context.Cause(ctx))
	case errors.As(err, &dns) && dns.IsNotFound:
		kind = fault.NotFound
	case kind == fault.Other:
		kind = fault.Unavailable
	}
	return fault.New(kind, op, addr.String(), err).WithHint("check the host's name, or write its number")
}

// localSystem replaces the wildcard, which as a destination means this
// machine, by the loopback addresses.
func localSystem(all []netip.AddrPort) []netip.AddrPort {
	v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	var out []netip.AddrPort
	for _, ap := range all {
		switch {
		case !ap.Addr().IsUnspecified():
			out = append(out, ap)
		case ap.Addr().Is4():
			out = append(out, netip.AddrPortFrom(v4, ap.Port()))
		default:
			out = append(out, netip.AddrPortFrom(v4, ap.Port()), netip.AddrPortFrom(v6, ap.Port()))
		}
	}
	return out
}

// checkPlain refuses a tcp:// address of which any meaning is beyond loopback,
// unless it says ?insecure=true. tls:// may go anywhere.
func checkPlain(op string, addr endpoint.Address, all []netip.AddrPort) error {
	if addr.Scheme == endpoint.TLS || addr.Flag("insecure") {
		return nil
	}
	for _, ap := range all {
		if !ap.Addr().IsLoopback() {
			return fault.New(fault.Denied, op, addr.String(), fmt.Errorf("plain tcp is for loopback only, and %s is not", ap.Addr())).
				WithHint("use tls://, or add ?insecure=true if everybody on that network may read and change what passes")
		}
	}
	return nil
}
