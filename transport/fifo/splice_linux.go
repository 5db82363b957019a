// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"syscall"

	"github.com/parley-ipc/parley/transport"
)

var _ transport.Splicer = (*Conn)(nil)

// ReadRaw implements transport.Splicer.
func (c *Conn) ReadRaw() (syscall.RawConn, func(int), bool) {
	c.first.Lock()
	defer c.first.Unlock()
	if len(c.first.bytes) > 0 {
		return nil, nil, false
	}
	raw, err := c.r.SyscallConn()
	return raw, func(n int) {
		if c.counters != nil {
			c.counters.BytesIn.Add(uint64(n))
		}
	}, err == nil
}

// WriteRaw implements transport.Splicer.
func (c *Conn) WriteRaw() (syscall.RawConn, func(int), bool) {
	raw, err := c.w.SyscallConn()
	return raw, func(n int) {
		if c.counters != nil {
			c.counters.BytesOut.Add(uint64(n))
		}
	}, err == nil
}
