// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inode is a file's identity; of a socket only the number is known, and its
// device is 0.
type inode struct{ dev, ino uint64 }

// holders says which processes have what open or mapped.
type holders struct {
	of     map[inode][]int
	fifos  map[inode]string // named pipes that somebody has open, by a name
	denied map[uint32]bool  // uids of which a process' descriptors could not be looked at
	veiled map[uint32]bool  // the same for what it has mapped
}

// scan looks at all processes that we may look at.
func scan() (*holders, error) {
	h := &holders{of: map[inode][]int{}, fifos: map[inode]string{}, denied: map[uint32]bool{}, veiled: map[uint32]bool{}}
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		if pid, err := strconv.Atoi(d.Name()); err == nil {
			h.look(pid)
		}
	}
	return h, nil
}

func (h *holders) look(pid int) {
	proc := fmt.Sprintf("/proc/%d", pid)
	fds, err := os.ReadDir(proc + "/fd")
	for _, fd := range fds {
		h.descriptor(pid, filepath.Join(proc, "fd", fd.Name()))
	}
	merr := h.mappings(pid, proc+"/maps")
	uid, ok := ownerOf(proc)
	if ok && errors.Is(err, fs.ErrPermission) {
		h.denied[uid] = true
	}
	if ok && errors.Is(merr, fs.ErrPermission) {
		h.veiled[uid] = true
	}
}

func (h *holders) descriptor(pid int, link string) {
	target, err := os.Readlink(link)
	if err != nil {
		return
	}
	if n, ok := strings.CutPrefix(target, "socket:["); ok {
		if ino, err := strconv.ParseUint(strings.TrimSuffix(n, "]"), 10, 64); err == nil {
			h.add(inode{0, ino}, pid)
		}
		return
	}
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "/dev/") && !strings.HasPrefix(target, "/dev/shm/") && !strings.HasPrefix(target, "/dev/mqueue/") {
		return
	}
	st, err := os.Stat(link)
	if err != nil {
		return
	}
	key, ok := inodeOf(st)
	if !ok {
		return
	}
	h.add(key, pid)
	if st.Mode()&fs.ModeNamedPipe != 0 && !strings.HasSuffix(target, " (deleted)") {
		h.fifos[key] = target
	}
}

// mappings are what may be left of a segment whose descriptor was closed.
func (h *holders) mappings(pid int, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		fields, name := cutFields(strings.TrimRight(line, "\n"), 5)
		if len(fields) < 5 || !strings.HasPrefix(strings.TrimLeft(name, " "), "/dev/shm/") {
			continue
		}
		var major, minor uint32
		ino, err := strconv.ParseUint(fields[4], 10, 64)
		if _, serr := fmt.Sscanf(fields[3], "%x:%x", &major, &minor); serr == nil && err == nil {
			h.add(inode{unix.Mkdev(major, minor), ino}, pid)
		}
	}
	return nil
}

func (h *holders) add(key inode, pid int) {
	if !slices.Contains(h.of[key], pid) {
		h.of[key] = append(h.of[key], pid)
	}
}

// state is an object's: nobody may have it where its owner's processes were
// looked at. mapped is that it can be had without a descriptor.
func (h *holders) state(key inode, uid uint32, mapped bool) (State, []int) {
	pids := h.of[key]
	switch {
	case len(pids) > 0:
		return Live, pids
	case h.denied[uid], mapped && h.veiled[uid]:
		return Unknown, nil
	}
	return Orphaned, nil
}

// sure reports whether nobody at all can have an object that is Orphaned: its
// owner alone may use it, root apart, or every process was looked at.
func (h *holders) sure(mode fs.FileMode) bool {
	return mode&0o077 == 0 || len(h.denied)+len(h.veiled) == 0
}

func inodeOf(st fs.FileInfo) (inode, bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}, false
	}
	return inode{uint64(sys.Dev), sys.Ino}, true //nolint:unconvert // its type differs by architecture
}

func ownerOf(path string) (uint32, bool) {
	st, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return sys.Uid, true
}
