// SPDX-License-Identifier: Apache-2.0

package message

import (
	"io"
	"net"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

// devNull takes everything and gives nothing.
type devNull struct{}

func (devNull) Read([]byte) (int, error)         { return 0, io.EOF }
func (devNull) Write(p []byte) (int, error)      { return len(p), nil }
func (devNull) Close() error                     { return nil }
func (devNull) CloseWrite() error                { return nil }
func (devNull) Peer() auth.Identity              { return auth.Identity{} }
func (devNull) LocalAddr() net.Addr              { return nil }
func (devNull) RemoteAddr() net.Addr             { return nil }
func (devNull) SetDeadline(time.Time) error      { return nil }
func (devNull) SetReadDeadline(time.Time) error  { return nil }
func (devNull) SetWriteDeadline(time.Time) error { return nil }

// counting counts writes.
type counting struct {
	transport.Conn
	writes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// playback reads what is given, in the chunks that size tells, then io.EOF.
type playback struct {
	devNull
	in   []byte
	size func() int
}

func (c *playback) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(1, c.size()))], c.in)
	c.in = c.in[n:]
	return n, nil
}

// recorder keeps what is written.
type recorder struct {
	devNull
	out []byte
}

func (c *recorder) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), nil
}
