// SPDX-License-Identifier: Apache-2.0

package unix

import (
	"syscall"

	"github.com/parley-ipc/parley/transport"
)

var _ transport.Splicer = (*Conn)(nil)

// ReadRaw implements transport.Splicer.
func (c *Conn) ReadRaw() (syscall.RawConn, func(int), bool) {
	raw, err := c.sock.SyscallConn()
	return raw, func(n int) { c.countIn(n, 0) }, err == nil
}

// WriteRaw implements transport.Splicer.
func (c *Conn) WriteRaw() (syscall.RawConn, func(int), bool) {
	raw, err := c.sock.SyscallConn()
	return raw, func(n int) { c.countOut(n, 0) }, err == nil
}
