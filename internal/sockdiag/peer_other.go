// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sockdiag

import (
	"errors"
	"net"

	"github.com/parley-ipc/parley/fault"
)

// ClientUID is known on Linux only.
func ClientUID(c *net.TCPConn) (uint32, error) { return 0, unsupported(c) }

// ServerUID is known on Linux only.
func ServerUID(c *net.TCPConn) (uint32, error) { return 0, unsupported(c) }

func unsupported(c *net.TCPConn) error {
	return fault.New(fault.Unsupported, "identify", c.RemoteAddr().String(),
		errors.New("the owner of a loopback TCP socket is known on Linux only"))
}
