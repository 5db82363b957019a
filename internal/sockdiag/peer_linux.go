// SPDX-License-Identifier: Apache-2.0

package sockdiag

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ClientUID returns the owner of the socket that dialled the accepted
// connection c, as seen from our user namespace. c must be a loopback
// connection.
//
// The kernel knows a socket's owner only while a process has it open: a client
// that has closed already is an error.
func ClientUID(c *net.TCPConn) (uint32, error) { return ask(c, (*kernel).client) }

// ServerUID returns the owner of the socket that accepted the dialled
// connection c. While it waits in the accept queue that is the listener's
// owner, whoever accepts it later.
func ServerUID(c *net.TCPConn) (uint32, error) { return ask(c, (*kernel).server) }

func ask(c *net.TCPConn, owner func(k *kernel, local, remote netip.AddrPort) (uint32, error)) (uint32, error) {
	local, remote, err := ends(c)
	if err != nil {
		return 0, err
	}
	cookie, err := cookieOf(c)
	if err != nil {
		return 0, err
	}
	k, err := open()
	if err != nil {
		return 0, fmt.Errorf("opening sock_diag: %w", err)
	}
	defer k.close()
	if err := k.sees(local, remote, cookie); err != nil {
		return 0, err
	}
	return owner(k, remote, local)
}

// ends returns the addresses of c, both checked to be loopback, IPv4 in its
// plain form: the kernel finds a v4-mapped socket by its IPv4 address.
func ends(c *net.TCPConn) (local, remote netip.AddrPort, err error) {
	plain := func(a net.Addr) netip.AddrPort {
		ta, ok := a.(*net.TCPAddr)
		if !ok {
			return netip.AddrPort{}
		}
		ap := ta.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	local, remote = plain(c.LocalAddr()), plain(c.RemoteAddr())
	if !local.Addr().IsLoopback() || !remote.Addr().IsLoopback() {
		return local, remote, errors.New("not a loopback connection")
	}
	return local, remote, nil
}

func cookieOf(c *net.TCPConn) (cookie uint64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	ctlErr := raw.Control(func(fd uintptr) { cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) })
	return cookie, errors.Join(ctlErr, err)
}

// sees checks that our own end is known here by its cookie. A socket that was
// handed to us from another network namespace is not, and the same addresses
// may mean somebody else's connection here.
func (k *kernel) sees(local, remote netip.AddrPort, cookie uint64) error {
	if _, err := k.find(local, remote, cookie); err != nil {
		return fmt.Errorf("our socket is not in this network namespace: %w", err)
	}
	return nil
}

var errNobody = errors.New("nobody has the peer's socket open")

// exact is find for a connection and nothing else.
func (k *kernel) exact(local, remote netip.AddrPort) (socket, error) {
	s, err := k.find(local, remote, anyCookie)
	if err != nil {
		return s, fmt.Errorf("the peer's socket: %w", err)
	}
	if s.state == listen || s.local != local || s.remote != remote {
		return s, errNobody // the connection is gone, and somebody has the port
	}
	return s, nil
}

// client trusts no listener on the client's port: it may be a stranger's.
func (k *kernel) client(local, remote netip.AddrPort) (uint32, error) {
	s, err := k.exact(local, remote)
	if err == nil && s.inode == 0 {
		err = errNobody
	}
	return s.uid, err
}

// server asks for the listener between two looks at the connection: if that
// still waits in an accept queue at the second, the listener it waits for was
// there in between, and no other can have the port.
func (k *kernel) server(local, remote netip.AddrPort) (uint32, error) {
	before, err := k.exact(local, remote)
	if err != nil || before.inode != 0 {
		return before.uid, err
	}
	l, listenErr := k.find(local, netip.AddrPortFrom(remote.Addr(), 0), anyCookie) // no connection has port 0
	after, err := k.exact(local, remote)
	switch {
	case err != nil || after.inode != 0:
		return after.uid, err
	case listenErr != nil:
		return 0, fmt.Errorf("the peer's listener: %w", listenErr)
	case !before.unaccepted() || !after.unaccepted() || l.state != listen || l.inode == 0 || l.local.Port() != local.Port():
		return 0, errNobody
	}
	return l.uid, nil
}
