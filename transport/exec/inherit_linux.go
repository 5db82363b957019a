// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/internal/unixconn"
)

// inherited is a stdin or stdout that we were started with, made fit for the
// poller.
//
// Deadlines need O_NONBLOCK, which belongs to the open file description; and
// whoever started us may share that: a shell reads the same terminal after
// us, `(parley …; cat)` the same pipe. So:
//
//   - a pipe, FIFO or terminal is opened anew through /proc/self/fd, which
//     makes a description of our own; nobody else sees its flags, nor can
//     clear them;
//   - a socket cannot be opened anew. Two readers of one stream socket would
//     get shreds, so it is taken to be ours: the flag is set, and put back by
//     Close. The same goes for a pipe that is another user's, or whose other
//     end has gone, so that it cannot be opened;
//   - a terminal that cannot be opened, a file or /dev/null stays blocking: no
//     deadlines. The last two never wait.
type inherited struct {
	file    *os.File
	restore bool // O_NONBLOCK was set on a shared description
}

func inherit(fd, flags int) (inherited, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return inherited{}, fmt.Errorf("descriptor %d is closed: %w", fd, os.NewSyscallError("fstat", err))
	}
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFIFO || kind == unix.S_IFCHR {
		own, err := unix.Open(name, flags|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err == nil {
			return inherited{file: os.NewFile(uintptr(own), name)}, nil
		}
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return inherited{}, os.NewSyscallError("fcntl", err)
	}
	in := inherited{}
	if kind == unix.S_IFIFO || kind == unix.S_IFSOCK {
		old, err := unix.FcntlInt(uintptr(dup), unix.F_GETFL, 0)
		if err == nil && old&unix.O_NONBLOCK == 0 {
			in.restore = unix.SetNonblock(dup, true) == nil
		}
	}
	in.file = os.NewFile(uintptr(dup), name)
	return in, nil
}

// close puts the flags back first: our own waits end by the close anyway.
func (i inherited) close() error {
	if i.restore {
		if raw, err := i.file.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.SetNonblock(int(fd), false) })
		}
	}
	return i.file.Close()
}

// madeBy asks the kernel who made a channel that we inherited. known is false
// where there is nobody on the other side: a file, /dev/null.
func madeBy(fd int) (id auth.Identity, known bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return id, false, os.NewSyscallError("fstat", err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO: // who called pipe(2), or owns the FIFO
		return auth.FromUID(auth.FileOwner, st.Uid, st.Gid), true, nil
	case unix.S_IFSOCK:
		id, err := socketPeer(fd)
		return id, true, err
	case unix.S_IFCHR:
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil { // who is logged in there
			return auth.FromUID(auth.FileOwner, st.Uid, st.Gid), true, nil
		}
	}
	return id, false, nil
}

func socketPeer(fd int) (auth.Identity, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return auth.Identity{}, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(dup), "socket")
	defer func() { _ = file.Close() }()
	if domain, err := unix.GetsockoptInt(dup, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain != unix.AF_UNIX {
		return auth.Identity{Method: auth.None}, nil // a stranger from the network, for all we know
	}
	id := auth.Identity{Method: auth.None}
	cred, err := unix.GetsockoptUcred(dup, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err == nil {
		id = auth.FromUID(auth.Kernel, cred.Uid, cred.Gid)
		id.PID = int(cred.Pid)
	}
	return id, nil
}

// identify says who is on the other side of our stdio: whoever made the
// socketpair or the two channels. Two makers are nobody in particular. With no
// channel at all there is only whoever started us: our real uid.
func identify(stdin, stdout int, sock *net.UnixConn) (auth.Identity, error) {
	if sock != nil {
		return unixconn.PeerIdentity(sock)
	}
	in, inKnown, errIn := madeBy(stdin)
	out, outKnown, errOut := madeBy(stdout)
	if err := errors.Join(errIn, errOut); err != nil {
		return auth.Identity{}, err
	}
	switch {
	case inKnown && outKnown && (in.HasUID != out.HasUID || in.UID != out.UID):
		return auth.Identity{Method: auth.None}, nil
	case inKnown:
		return in, nil
	case outKnown:
		return out, nil
	}
	return auth.FromUID(auth.Kernel, uint32(os.Getuid()), uint32(os.Getgid())), nil
}
