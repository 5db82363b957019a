// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// FIFO holds one named pipe, whatever its name comes to mean later. It is not
// open for reading or writing by that, and counts as neither end. Its methods
// may run at once, but not with Close.
type FIFO struct {
	node *os.File // O_PATH
	path string
	stat unix.Stat_t
}

// Make makes a named pipe with exactly these permissions, umask or not. A name
// that is taken, by whatever it may be, is fault.InUse.
func Make(path string, perm fs.FileMode) (*FIFO, error) {
	if err := unix.Mkfifo(path, uint32(perm.Perm())); err != nil {
		e := fault.New(fault.KindOf(err), "make fifo", path, os.NewSyscallError("mkfifo", err))
		if err == unix.EEXIST {
			e.Kind = fault.InUse
		}
		return nil, e
	}
	f, err := Find(path)
	if err != nil {
		return nil, err
	}
	if err := f.SetMode(perm); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Find holds the named pipe at path. A symbolic link, like all that is no
// named pipe, is fault.Invalid; nothing there is fault.NotFound.
func Find(path string) (*FIFO, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault.Wrap("open fifo", path, os.NewSyscallError("open", err))
	}
	f := &FIFO{node: os.NewFile(uintptr(fd), path), path: path}
	if err := unix.Fstat(fd, &f.stat); err != nil {
		return nil, errors.Join(fault.Wrap("open fifo", path, os.NewSyscallError("fstat", err)), f.Close())
	}
	if f.stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil, errors.Join(fault.New(fault.Invalid, "open fifo", path, errors.New("it is not a named pipe")), f.Close())
	}
	return f, nil
}

// Close lets go of it. The pipe stays.
func (f *FIFO) Close() error { return f.node.Close() }

// Path is the name by which it was found.
func (f *FIFO) Path() string { return f.path }

// Owner returns its uid and gid.
func (f *FIFO) Owner() (uid, gid uint32) { return f.stat.Uid, f.stat.Gid }

// proc is a name of this very pipe that nobody can redirect.
func (f *FIFO) proc() (name string, err error) {
	raw, err := f.node.SyscallConn()
	if err != nil {
		return "", err
	}
	err = raw.Control(func(fd uintptr) { name = fmt.Sprintf("/proc/self/fd/%d", fd) })
	return name, err
}

// Mode returns its permissions and sticky bit as they are now, and whether it
// still has a name.
func (f *FIFO) Mode() (mode fs.FileMode, named bool, err error) {
	st, err := f.node.Stat()
	if err != nil {
		return 0, false, fault.Wrap("inspect fifo", f.path, err)
	}
	return st.Mode() & (fs.ModePerm | fs.ModeSticky), links(st) > 0, nil
}

// SetMode sets its permissions and sticky bit, which takes its owner or root.
func (f *FIFO) SetMode(mode fs.FileMode) error {
	name, err := f.proc()
	if err == nil {
		err = os.Chmod(name, mode&(fs.ModePerm|fs.ModeSticky))
	}
	return fault.Wrap("inspect fifo", f.path, err)
}

// Reader opens the reading end, at once. Until somebody opens the other end it
// reads io.EOF: see Came.
func (f *FIFO) Reader() (*os.File, error) { return f.open(unix.O_RDONLY) }

// Writer opens the writing end, at once. If nobody has the reading end open it
// is fault.Unavailable.
func (f *FIFO) Writer() (*os.File, error) { return f.open(unix.O_WRONLY) }

func (f *FIFO) open(flags int) (*os.File, error) {
	name, err := f.proc()
	if err != nil {
		return nil, fault.Wrap("open fifo", f.path, err)
	}
	fd, err := unix.Open(name, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ENXIO {
		return nil, fault.New(fault.Unavailable, "open fifo", f.path, errors.New("nobody reads from it"))
	}
	if err != nil {
		return nil, fault.Wrap("open fifo", f.path, os.NewSyscallError("open", err))
	}
	return os.NewFile(uintptr(fd), f.path), nil
}

// Came reports whether a writer has opened the pipe since r, its reading end,
// was opened; he may have gone again. To tell, Came may have to take the first
// byte, which it then returns. It must not run with a Read.
func Came(r *os.File) (came bool, first []byte, err error) {
	raw, err := r.SyscallConn()
	if err != nil {
		return false, nil, err
	}
	err = raw.Control(func(fd uintptr) {
		if came = events(fd, unix.POLLIN)&(unix.POLLIN|unix.POLLHUP) != 0; came {
			return
		}
		// A silent writer shows only in this: without one, it is the end.
		one := make([]byte, 1)
		n, rerr := unix.Read(int(fd), one)
		came = n == 1 || rerr == unix.EAGAIN
		first = one[:max(n, 0)]
	})
	return came, first, err
}

// Gone reports whether the other end of f has been opened and closed for good:
// the last writer of a reading end, the last reader of a writing end.
func Gone(f *os.File) bool {
	gone := true
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { gone = events(fd, 0)&(unix.POLLHUP|unix.POLLERR) != 0 })
	}
	return gone
}

func events(fd uintptr, want int16) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: want}}
	for {
		if _, err := unix.Poll(fds, 0); err != unix.EINTR {
			return fds[0].Revents
		}
	}
}

// Lock takes the pipe for this end, exclusively, until that is closed. It
// reports whether it got it; the kernel frees it when its holder dies. It is
// another lock than Hold's, and needs no writing end.
func Lock(f *os.File) (bool, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	var lerr error
	if err := raw.Control(func(fd uintptr) { lerr = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return false, err
	}
	if lerr == unix.EWOULDBLOCK {
		return false, nil
	}
	return lerr == nil, fault.Wrap("lock fifo", f.Name(), os.NewSyscallError("flock", lerr))
}

// Hold marks f, a writing end, as in use until it is closed, for Held to see.
// It reports whether nobody else had. The kernel drops it when its holder dies.
func Hold(f *os.File) (bool, error) {
	_, err := ofd(f, unix.F_OFD_SETLK)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, err
}

// Held reports whether another writing end than f is marked as in use.
func Held(f *os.File) (bool, error) {
	lock, err := ofd(f, unix.F_OFD_GETLK)
	return err == nil && lock.Type != unix.F_UNLCK, err
}

func ofd(f *os.File, cmd int) (unix.Flock_t, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	raw, err := f.SyscallConn()
	if err != nil {
		return lock, fault.Wrap("lock fifo", f.Name(), err)
	}
	var lerr error
	if err := raw.Control(func(fd uintptr) { lerr = unix.FcntlFlock(fd, cmd, &lock) }); err != nil {
		return lock, fault.Wrap("lock fifo", f.Name(), err)
	}
	return lock, fault.Wrap("lock fifo", f.Name(), os.NewSyscallError("fcntl", lerr))
}

// Capacity is how many bytes the pipe holds between its ends.
func Capacity(f *os.File) (int, error) { return fcntl(f, unix.F_GETPIPE_SZ, 0) }

// Buffered is how many bytes have been written and not yet read; either end
// may ask.
func Buffered(f *os.File) (n int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, fault.Wrap("inspect fifo", f.Name(), err)
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { n, ferr = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
		return 0, fault.Wrap("inspect fifo", f.Name(), err)
	}
	return n, fault.Wrap("inspect fifo", f.Name(), os.NewSyscallError("ioctl FIONREAD", ferr))
}

// SetCapacity asks for at least n bytes and returns what it got. Beyond
// /proc/sys/fs/pipe-max-size it is fault.Denied, but for root.
func SetCapacity(f *os.File, n int) (int, error) { return fcntl(f, unix.F_SETPIPE_SZ, n) }

func fcntl(f *os.File, cmd, arg int) (n int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, fault.Wrap("fifo capacity", f.Name(), err)
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { n, ferr = unix.FcntlInt(fd, cmd, arg) }); err != nil {
		return 0, fault.Wrap("fifo capacity", f.Name(), err)
	}
	return n, fault.Wrap("fifo capacity", f.Name(), os.NewSyscallError("fcntl", ferr))
}
