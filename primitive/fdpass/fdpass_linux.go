// SPDX-License-Identifier: Apache-2.0

package fdpass

import (
	"errors"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// Write writes all of p, with files attached to its first byte, in one piece
// even if other goroutines write too. The files stay the caller's: it must not
// close them before Write has returned, and may afterwards. If Write returns
// more than 0, the files have been sent.
func Write(c *net.UnixConn, p []byte, files []*os.File) (int, error) {
	if err := check(p, files); err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return c.Write(p)
	}
	fds, err := descriptors(files)
	if err != nil {
		return 0, err
	}
	n, err := sendAll(c, p, unix.UnixRights(fds...))
	runtime.KeepAlive(files)
	return n, err
}

// sendAll holds the socket's write lock throughout, as RawConn.Write does.
// oob goes with the first byte.
func sendAll(c *net.UnixConn, p, oob []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var serr error
	err = raw.Write(func(fd uintptr) bool {
		for n < len(p) {
			var m int
			m, serr = unix.SendmsgN(int(fd), p[n:], oob, nil, unix.MSG_NOSIGNAL)
			if serr == unix.EINTR {
				continue
			}
			if serr != nil {
				return serr != unix.EAGAIN
			}
			n, oob = n+m, nil
		}
		return true
	})
	if err == nil && serr != nil {
		err = os.NewSyscallError("sendmsg", serr)
	}
	return n, err
}

// descriptors reads the numbers without File.Fd, which would put the files
// back to blocking mode.
func descriptors(files []*os.File) ([]int, error) {
	fds := make([]int, 0, len(files))
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "pass files", f.Name(), err)
		}
	}
	return fds, nil
}

// parse makes files of the descriptors in a control message.
func parse(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fault.New(fault.Protocol, "receive files", "", err)
	}
	var files []*os.File
	for i := range messages {
		m := &messages[i]
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		if len(m.Data)%4 != 0 { // ParseUnixRights would read past the end
			closeAll(files)
			return nil, fault.New(fault.Protocol, "receive files", "", errors.New("a control message holds part of a descriptor"))
		}
		fds, err := unix.ParseUnixRights(m)
		if err != nil {
			closeAll(files)
			return nil, fault.New(fault.Protocol, "receive files", "", err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// closeAll closes what arrived and cannot be returned.
func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
