// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	noticeMask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	noticeGone = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_IGNORED | unix.IN_UNMOUNT
)

// notice watches one directory: the wanted one or, until that exists, the
// nearest above it that does.
type notice struct {
	file *os.File // the inotify instance; nil where there is none to be had
	want string
	dir  string // what is watched; empty for nothing
	wd   int
}

func (n *notice) open(dir string) {
	n.want = dir
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return // their number is limited: then we retry blindly
	}
	n.file = os.NewFile(uintptr(fd), "inotify")
	n.arm()
}

// arm moves the watch to the nearest directory that exists and reports
// whether it moved: what happened there before was not seen, so the caller
// must look again.
func (n *notice) arm() (moved bool) {
	for {
		dir := nearest(n.want)
		if dir == n.dir {
			return moved
		}
		wd, err := n.add(dir)
		if err != nil { // gone again, or not ours to read
			n.dir = ""
			return moved
		}
		if n.dir != "" && n.wd != wd {
			n.remove(n.wd)
		}
		n.dir, n.wd, moved = dir, wd, true
	}
}

func nearest(dir string) string {
	for {
		if st, err := os.Stat(dir); err == nil && st.IsDir() || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// wait returns whether something happened at path within d, and how long the
// next d may be.
func (n *notice) wait(ctx context.Context, path string, d time.Duration) (bool, time.Duration) {
	if n.file == nil {
		pause(ctx, d)
		return false, maxBlindRetry
	}
	if n.arm() {
		return true, maxWatchedWait
	}
	if n.dir == "" {
		pause(ctx, d)
		return false, maxBlindRetry
	}
	return n.read(ctx, path, time.Now().Add(d)), maxWatchedWait
}

func (n *notice) read(ctx context.Context, path string, until time.Time) bool {
	if n.file.SetReadDeadline(until) != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = n.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 16<<10)
	for {
		size, err := n.file.Read(buf)
		if err != nil {
			return false
		}
		if n.relevant(buf[:size], n.component(path)) {
			return true
		}
	}
}

// component is the name whose appearance in the watched directory matters.
func (n *notice) component(path string) string {
	rel, err := filepath.Rel(n.dir, path)
	if err != nil {
		return filepath.Base(path)
	}
	name, _, _ := strings.Cut(rel, string(filepath.Separator))
	return name
}

// relevant reads the kernel's events: wd, mask, cookie and len of four bytes
// each, then len bytes of a name padded with zeros. It compares the start of
// the name only, as a fifo's stem is the start of two.
func (n *notice) relevant(events []byte, name string) (yes bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		size := int(binary.NativeEndian.Uint32(events[12:]))
		wd := int(int32(binary.NativeEndian.Uint32(events)))
		text := events[unix.SizeofInotifyEvent:][:size]
		events = events[unix.SizeofInotifyEvent+size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			return true
		}
		if wd != n.wd {
			continue
		}
		if mask&noticeGone != 0 {
			n.dir, yes = "", true
		}
		yes = yes || strings.HasPrefix(string(bytes.TrimRight(text, "\x00")), name)
	}
	return yes
}

func (n *notice) add(dir string) (wd int, err error) {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) { wd, err = unix.InotifyAddWatch(int(fd), dir, noticeMask) })
	if cerr != nil {
		return 0, cerr
	}
	return wd, err
}

func (n *notice) remove(wd int) {
	raw, err := n.file.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.InotifyRmWatch(int(fd), uint32(wd)) })
	}
}

func (n *notice) close() error {
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}
