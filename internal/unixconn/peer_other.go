// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin

package unixconn

import (
	"net"
	"os"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// PeerIdentity cannot ask this system's kernel. What lets a peer in here is
// the permission on the socket's directory, so it counts as its owner.
func PeerIdentity(*net.UnixConn) (auth.Identity, error) {
	id := auth.Self()
	id.Method, id.PID = auth.FileOwner, 0
	return id, nil
}

// PeerPidfd is unsupported: pidfds are Linux's.
func PeerPidfd(*net.UnixConn) (*os.File, error) {
	return nil, fault.New(fault.Unsupported, "peer pidfd", "", nil)
}
