// SPDX-License-Identifier: Apache-2.0

package activation

import (
	"net"
	"path/filepath"
	"strconv"

	"github.com/parley-ipc/parley/endpoint"
)

// matcher returns the test for sockets that serve addr.
func matcher(addr endpoint.Address) func(net.Addr) bool {
	switch addr.Scheme {
	case endpoint.Unix, endpoint.SHM:
		path, err := endpoint.DialPath(addr)
		return func(a net.Addr) bool {
			u, ok := a.(*net.UnixAddr)
			return ok && err == nil && filepath.Clean(u.Name) == path
		}
	case endpoint.TCP, endpoint.TLS:
		return matchHost(addr.Host)
	case endpoint.FIFO, endpoint.Exec, endpoint.Stdio, endpoint.Inproc, endpoint.Mem: // no sockets of theirs
	}
	return func(net.Addr) bool { return false }
}

// matchHost compares numbers: the only name it knows is localhost, for asking
// a resolver could take for ever.
func matchHost(hostport string) func(net.Addr) bool {
	host, port, err := net.SplitHostPort(hostport)
	number, perr := strconv.Atoi(port)
	return func(a net.Addr) bool {
		t, ok := a.(*net.TCPAddr)
		if !ok || err != nil || perr != nil || t.Port != number {
			return false
		}
		switch host {
		case "":
			return t.IP.IsUnspecified()
		case "localhost":
			return t.IP.IsLoopback()
		}
		ip := net.ParseIP(host)
		return ip != nil && ip.Equal(t.IP)
	}
}
