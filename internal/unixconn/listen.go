// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"errors"
	"net"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// Listen binds a stream socket at path with the given mode. The caller has
// claimed the name, so nothing is there; it also removes the socket. addr is
// the address as the user wrote it, for the error.
func Listen(path, addr string, mode os.FileMode) (*net.UnixListener, error) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fault.Wrap("listen", addr, err)
	}
	ln.SetUnlinkOnClose(false)
	if err := setMode(path, mode); err != nil {
		return nil, fault.Wrap("listen", addr, errors.Join(err, ln.Close(), os.Remove(path)))
	}
	return ln, nil
}
