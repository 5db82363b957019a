// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

// asOwnerOf runs do with the rights of whoever owns dir, if we are root and
// dir is somebody else's. An entry names paths, and a reference an entry: what
// its owner could not remove, root must not remove on its word, and no check
// of ours before the removal is proof against a directory that its owner swaps
// in between. The kernel's checks are.
//
// The rights belong to a thread, which is thrown away afterwards.
func asOwnerOf(dir string, do func() error) error {
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 || !ok || owner.Uid == 0 {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := become(int(owner.Uid), int(owner.Gid)); err != nil {
			done <- fault.New(fault.KindOf(err), "act as uid", fmt.Sprint(owner.Uid), err)
			return
		}
		done <- do()
	}()
	return <-done
}

// become gives up, for this thread's use of files, all rights but the user's.
func become(uid, gid int) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return os.NewSyscallError("setgroups", errno)
	}
	for _, step := range []struct {
		set  func(int) (int, error)
		want int
	}{{unix.SetfsgidRetGid, gid}, {unix.SetfsuidRetUid, uid}} {
		_, _ = step.set(step.want) // it tells the old one, not whether it worked
		if now, _ := step.set(-1); now != step.want {
			return errors.New("this user has no rights here: run it as that user")
		}
	}
	return nil
}
