// SPDX-License-Identifier: Apache-2.0

package mqueue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
)

const mountHint = "as root: mkdir -p /dev/mqueue && mount -t mqueue none /dev/mqueue"

func list() ([]Info, error) {
	dir, done, err := folder()
	if err != nil {
		return nil, err
	}
	defer done()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.Wrap("list queues", dir, err)
	}
	infos := make([]Info, 0, len(entries))
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			continue // it has gone
		}
		infos = append(infos, inspect(filepath.Join(dir, e.Name()), st))
	}
	return infos, nil
}

// folder returns a directory that shows the queues: a mount that is there, or
// one of our own that has no place in the tree.
func folder() (dir string, done func(), err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", nil, fault.Wrap("list queues", "", err)
	}
	if dir := mountOf(string(mounts)); dir != "" {
		return dir, func() {}, nil
	}
	fd, err := detached()
	if err != nil {
		return "", nil, fault.New(fault.Unsupported, "list queues", "/dev/mqueue",
			fmt.Errorf("the mqueue file system is not mounted, and mounting it out of sight failed: %w", err)).WithHint(mountHint)
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), func() { _ = unix.Close(fd) }, nil
}

// mountOf finds where the file system is mounted, in /proc/self/mountinfo.
func mountOf(mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) >= 5 && len(right) >= 1 && right[0] == "mqueue" && left[3] == "/" {
			return unescape(left[4])
		}
	}
	return ""
}

func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// detached mounts the file system on no directory, which takes CAP_SYS_ADMIN.
func detached() (int, error) {
	fs, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen", err)
	}
	defer func() { _ = unix.Close(fs) }()
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, os.NewSyscallError("fsconfig", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	return fd, os.NewSyscallError("fsmount", err)
}

// inspect tells what may be told of a queue; what only its readers may know is
// left out, with Err set.
func inspect(path string, st os.FileInfo) Info {
	i := Info{Name: "/" + st.Name(), Mode: st.Mode().Perm(), Used: st.ModTime()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		i.UID, i.Device, i.Inode = sys.Uid, uint64(sys.Dev), sys.Ino //nolint:unconvert // its type differs by architecture
	}
	text, err := os.ReadFile(path)
	if err != nil {
		i.Err = fault.Wrap("inspect queue", i.Name, err)
		return i
	}
	s, err := parseStatus(string(text))
	i.Bytes, i.NotifyPID = s.bytes, s.notifyPID
	q, qerr := Open(i.Name, Config{Access: ReceiveOnly})
	if qerr == nil {
		i.Attributes, qerr = q.Attributes()
		qerr = errors.Join(qerr, q.Close())
	}
	i.Err = errors.Join(err, qerr)
	return i
}
