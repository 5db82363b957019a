// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// PeerIdentity asks the kernel who made the other end: for an accepted
// connection the process that connected, for a dialled one the process that
// called listen(), which need not be the one that accepts.
func PeerIdentity(c *net.UnixConn) (auth.Identity, error) {
	var id auth.Identity
	err := control(c, func(fd int) error {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return os.NewSyscallError("getsockopt SO_PEERCRED", err)
		}
		id = auth.FromUID(auth.Kernel, cred.Uid, cred.Gid)
		id.PID = int(cred.Pid)
		if id.HasUID {
			id.Groups = peerGroups(fd)
		}
		return nil
	})
	if err != nil {
		return auth.Identity{Method: auth.None}, fault.Wrap("identify peer", "", err)
	}
	return id, nil
}

// PeerPidfd returns a pidfd of the process that PeerIdentity names, free of
// pid reuse, on kernels that have SO_PEERPIDFD (6.5). The caller closes it.
func PeerPidfd(c *net.UnixConn) (*os.File, error) {
	var file *os.File
	err := control(c, func(fd int) error {
		pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		if err == unix.ENOPROTOOPT {
			return fault.New(fault.Unsupported, "peer pidfd", "", err).WithHint("it needs Linux 6.5")
		}
		if err != nil {
			return os.NewSyscallError("getsockopt SO_PEERPIDFD", err)
		}
		file = os.NewFile(uintptr(pidfd), "pidfd")
		return nil
	})
	return file, err
}

func control(c *net.UnixConn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}
