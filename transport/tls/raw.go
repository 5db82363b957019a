// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"io"
	"net"
)

// errCut is the end of the socket's bytes without a close_notify before it.
// crypto/tls reads nothing more after a close_notify, so whoever meets the end
// of the socket was cut off.
type errCut struct{}

func (errCut) Error() string { return "the connection was cut" }
func (errCut) Unwrap() error { return io.ErrUnexpectedEOF }

// rawConn is the socket as crypto/tls sees it. Its end is errCut, because
// crypto/tls would take an io.EOF between two records for an orderly one.
type rawConn struct{ *net.TCPConn }

func (c rawConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if err == io.EOF {
		err = errCut{}
	}
	return n, err
}
