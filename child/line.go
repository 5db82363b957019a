// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"
	"io"
	"net"

	"github.com/parley-ipc/parley/fault"
)

// readLine reads up to the end of a line and not a byte further: what follows
// belongs to the application, or to shared memory's handshake. Its waits end
// with the socket's deadline.
func readLine(sock net.Conn) (string, error) {
	line := make([]byte, 0, 64)
	for len(line) < maxLine {
		var b [1]byte
		if _, err := io.ReadFull(sock, b[:]); err != nil {
			if err == io.EOF {
				err = fault.New(fault.PeerDied, "handshake", "", io.ErrUnexpectedEOF)
			}
			return "", fault.Wrap("handshake", "", err)
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
	return "", fault.New(fault.Protocol, "handshake", "", fmt.Errorf("a line of more than %d bytes", maxLine))
}
