// SPDX-License-Identifier: Apache-2.0

package tcpnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

// Listen binds addr. A name is bound at the first of its addresses, IPv4
// before IPv6; an empty host at the wildcard of both.
func Listen(ctx context.Context, addr endpoint.Address) (*net.TCPListener, error) {
	all, err := resolve(ctx, "listen", addr)
	if err != nil {
		return nil, err
	}
	if err := checkPlain("listen", addr, all); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, "tcp", all[0].String())
	if err != nil {
		return nil, listenError(ctx, addr, err)
	}
	return ln.(*net.TCPListener), nil
}

// Adopt checks a listener that somebody else bound as Listen checks addr. It
// closes ln if it returns an error.
func Adopt(ln net.Listener, addr endpoint.Address) (*net.TCPListener, error) {
	tl, ok := ln.(*net.TCPListener)
	if !ok {
		err := fault.New(fault.Invalid, "listen", addr.String(), fmt.Errorf("the socket that was passed in is %s, not tcp", ln.Addr().Network()))
		return nil, errors.Join(err, ln.Close())
	}
	if err := checkPlain("listen", addr, []netip.AddrPort{bound(tl)}); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return tl, nil
}

// bound is the address of ln, IPv4 in its plain form.
func bound(ln *net.TCPListener) netip.AddrPort {
	ap := ln.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// filled returns addr with the port that ln has, the host as it was written.
func filled(addr endpoint.Address, ln *net.TCPListener) endpoint.Address {
	host, _, err := net.SplitHostPort(addr.Host)
	if err != nil {
		host = bound(ln).Addr().String()
	}
	addr.Host = net.JoinHostPort(host, strconv.Itoa(int(bound(ln).Port())))
	return addr
}

func listenError(ctx context.Context, addr endpoint.Address, err error) error {
	f := fault.New(fault.KindOf(err), "listen", addr.String(), err)
	switch f.Kind {
	case fault.InUse:
		if who := owner(ctx, addr); who != "" {
			f.Err = fmt.Errorf("%s: %w", who, err)
			return f.WithHint("stop it, or listen on another port, or on port 0 for any free one")
		}
		return f.WithHint("another program has the port: `ss -ltnp` names it; stop it, or listen on another port, or on port 0 for any free one")
	case fault.Denied:
		return f.WithHint("ports below 1024 are for root: listen on another port")
	default:
		return f
	}
}

// owner returns the registry's word on who has addr's port, or "".
func owner(ctx context.Context, addr endpoint.Address) string {
	infos, err := endpoint.List(ctx, endpoint.ListOptions{All: true})
	if err != nil {
		return ""
	}
	for _, i := range infos {
		if a, err := endpoint.Parse(i.Address); err == nil && i.Live && collide(a.Host, addr.Host) {
			return fmt.Sprintf("pid %d (%s) of uid %d listens on %s", i.PID, i.Executable, i.UID, i.Address)
		}
	}
	return ""
}

// collide reports that two hosts with the same port may mean one socket: they
// are equal, or not both the number of one address.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB {
		return false
	}
	ipA, errA := netip.ParseAddr(hostA)
	ipB, errB := netip.ParseAddr(hostB)
	return errA != nil || errB != nil || ipA.IsUnspecified() || ipB.IsUnspecified() || ipA.Unmap() == ipB.Unmap()
}
