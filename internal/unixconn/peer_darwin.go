// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// PeerIdentity asks the kernel who made the other end.
func PeerIdentity(c *net.UnixConn) (auth.Identity, error) {
	id := auth.Identity{Method: auth.None}
	raw, err := c.SyscallConn()
	if err != nil {
		return id, err
	}
	var cred *unix.Xucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	}); err != nil {
		return id, err
	}
	if cerr != nil {
		return id, fault.Wrap("identify peer", "", cerr)
	}
	id = auth.FromUID(auth.Kernel, cred.Uid, cred.Groups[0])
	id.Groups = append(id.Groups, cred.Groups[1:max(1, min(int(cred.Ngroups), len(cred.Groups)))]...)
	return id, nil
}

// PeerPidfd is unsupported: pidfds are Linux's.
func PeerPidfd(*net.UnixConn) (*os.File, error) {
	return nil, fault.New(fault.Unsupported, "peer pidfd", "", nil)
}
