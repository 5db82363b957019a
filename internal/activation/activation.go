// SPDX-License-Identifier: Apache-2.0

package activation

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

// firstFD is SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstFD = 3

// maxFDs bounds what a mistaken LISTEN_FDS makes us look at.
const maxFDs = 4096

// Sockets are the descriptors that were passed to this process. Each is
// handed out once. Its methods may run at once.
type Sockets struct {
	mu   sync.Mutex
	free []socket // guarded by mu
	err  error    // immutable: why the environment makes no sense
}

type socket struct {
	fd   int
	name string // from LISTEN_FDNAMES, for messages
	addr net.Addr
}

// process is this process's table. Descriptors are a process's own, not a
// caller's: two tables of them would hand the same one out twice, and close
// under each other's hands what got the number next. So there is one, made at
// the first question, and it holds nothing that a test or a program sets.
var process = sync.OnceValue(func() *Sockets { return fromEnviron(os.Getenv, os.Getpid()) })

// Process returns the sockets passed to this process. The first call marks
// them close-on-exec and reads the environment, which it leaves alone: our
// children find in LISTEN_PID that they are not meant.
func Process() *Sockets { return process() }

// fromEnviron reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
func fromEnviron(getenv func(string) string, pid int) *Sockets {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return &Sockets{}
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxFDs {
		return &Sockets{err: fault.New(fault.Invalid, "take over sockets", "LISTEN_FDS="+getenv("LISTEN_FDS"), fmt.Errorf("it is not a number from 0 to %d", maxFDs))}
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	s := &Sockets{}
	for i := range n {
		sock := socket{fd: firstFD + i}
		if i < len(names) {
			sock.name = names[i]
		}
		if sock.inspect() {
			s.free = append(s.free, sock)
		}
	}
	return s
}

// Find hands out the listener that is bound to addr, which the caller then
// owns, and reports whether there is one. A unix or shm name is looked for at
// its path in our runtime directory. Closing the listener leaves the socket's
// file to whoever made it.
func (s *Sockets) Find(addr endpoint.Address) (net.Listener, bool, error) {
	if s.err != nil {
		return nil, false, s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		return nil, false, nil
	}
	bound := matcher(addr)
	for i, sock := range s.free {
		if !bound(sock.addr) {
			continue
		}
		s.free = append(s.free[:i:i], s.free[i+1:]...)
		ln, err := sock.listener()
		if err != nil {
			return nil, false, fault.Wrap("take over socket "+sock.name, addr.String(), err)
		}
		return ln, true, nil
	}
	return nil, false, nil
}

// listener moves the descriptor into a net.Listener.
func (s socket) listener() (net.Listener, error) {
	f := os.NewFile(uintptr(s.fd), s.name)
	ln, err := net.FileListener(f) // has a duplicate of its own
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return ln, nil
}
