// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// kinds make a file to pass, what stays here, and a check of the one that
// arrived.
var kinds = map[string]func(t testing.TB) (pass, stay *os.File, check func(got, stay *os.File) error){
	"memfd":  memfd,
	"pipe":   pipe,
	"socket": socket,
}

func closedOnExec(t testing.TB, f *os.File) bool {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var flags int
	var flagsErr error
	if err := raw.Control(func(fd uintptr) { flags, flagsErr = unix.FcntlInt(fd, unix.F_GETFD, 0) }); err != nil || flagsErr != nil {
		t.Fatal(err, flagsErr)
	}
	return flags&unix.FD_CLOEXEC != 0
}

func memfd(t testing.TB) (pass, stay *os.File, check func(got, stay *os.File) error) {
	fd, err := unix.MemfdCreate("transporttest", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte("memory")); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "memfd"), nil, func(got, _ *os.File) error {
		p := make([]byte, 6)
		if _, err := got.ReadAt(p, 0); err != nil || string(p) != "memory" {
			return fmt.Errorf("read %q, %w", p, err)
		}
		if _, err := got.WriteAt(p, 0); err == nil {
			return fmt.Errorf("the seal was lost")
		}
		return nil
	}
}

func pipe(t testing.TB) (pass, stay *os.File, check func(got, stay *os.File) error) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return w, r, through
}

func socket(t testing.TB) (pass, stay *os.File, check func(got, stay *os.File) error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pass, stay = os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	t.Cleanup(func() { _ = stay.Close() })
	return pass, stay, through
}
