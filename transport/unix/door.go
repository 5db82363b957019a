// SPDX-License-Identifier: Apache-2.0

package unix

import "net"

// Peek looks at the first bytes without taking them, and without touching
// files that come with them. It waits until p is full, the peer has ended or
// the read deadline has passed.
func (c *Conn) Peek(p []byte) (int, error) { return peek(c.sock, p) }

// Socket returns the socket beneath, for a protocol that takes it over: the
// Conn must not be used after that, not even closed.
func (c *Conn) Socket() *net.UnixConn { return c.sock }
