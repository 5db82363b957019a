// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
	"github.com/parley-ipc/parley/primitive/mqueue"
	"github.com/parley-ipc/parley/primitive/sysv"
)

// kernelObjects adds what is not Parley's.
func kernelObjects(o Options, add func(source string, objects []Object, err error)) {
	h, err := scan()
	if err != nil {
		add("processes", nil, err)
		return
	}
	objects, err := h.queues()
	add("POSIX message queues", objects, err)
	objects, err = h.old()
	add("System V objects", objects, err)
	objects, err = h.memory()
	add("/dev/shm", objects, err)
	objects, err = h.sockets(o)
	add("unix sockets", objects, err)
	objects, err = h.pipes()
	add("FIFOs", objects, err)
}

func (h *holders) queues() ([]Object, error) {
	infos, err := mqueue.List()
	var objects []Object
	for _, i := range infos {
		o := Object{
			Kind: "mqueue", Name: i.Name, UID: &i.UID, Size: i.Bytes, Since: i.Used,
			Detail: fmt.Sprintf("%d of %d messages of up to %d bytes", i.Messages, i.MaxMessages, i.MessageSize), Err: i.Err,
		}
		o.State, o.PIDs = h.state(inode{i.Device, i.Inode}, i.UID, false)
		if i.Err != nil {
			o.Detail = ""
		}
		if h.sure(i.Mode) {
			o.remove = func() error { return mqueue.Unlink(i.Name) }
		}
		objects = append(objects, o)
	}
	return objects, err
}

func (h *holders) old() ([]Object, error) {
	infos, err := sysv.List()
	var objects []Object
	for _, i := range infos {
		o := Object{
			Kind: "sysv-" + string(i.Kind), Name: strconv.Itoa(i.ID), UID: &i.UID, Size: int64(i.Bytes), Since: i.Changed, State: Kept,
		}
		switch i.Kind {
		case sysv.Queues:
			o.Detail = fmt.Sprintf("%d messages", i.Count)
		case sysv.Semaphores:
			o.Detail = fmt.Sprintf("%d semaphores", i.Count)
		case sysv.Memory: // the kernel counts those that we may not look at too
			o.Detail = fmt.Sprintf("attached %d times", i.Count)
			o.State = Live
			if i.Count == 0 {
				o.State = Orphaned
				o.remove = func() error { return removeUnattached(i.ID) }
			}
		}
		if i.Key != 0 {
			o.Name += fmt.Sprintf(" (key %#x)", uint32(i.Key))
		}
		objects = append(objects, o)
	}
	return objects, err
}

func removeUnattached(id int) error {
	i, err := sysv.Get(sysv.Memory, id)
	if err == nil && i.Count > 0 {
		err = fault.New(fault.InUse, "remove", strconv.Itoa(id), errors.New("somebody has attached it since"))
	}
	if err != nil {
		return err
	}
	return sysv.Remove(sysv.Memory, id)
}

// memoryRoot is where shm_open(3) and sem_open(3) have their files.
const memoryRoot = "/dev/shm"

func (h *holders) memory() ([]Object, error) {
	var objects []Object
	err := filepath.WalkDir(memoryRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return skipped(path, err)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return skipped(path, err)
		}
		kind := "shm"
		if strings.HasPrefix(d.Name(), "sem.") {
			kind = "posix-semaphore"
		}
		if o, ok := h.file(kind, path, st); ok && !parleys(path) {
			objects = append(objects, o)
		}
		return nil
	})
	return objects, err
}

// parleys leaves out what the list of Parley's own objects has.
func parleys(path string) bool {
	return slices.ContainsFunc(rundir.Locator{}.All(), func(d rundir.Dir) bool { return filepath.Dir(path) == filepath.Clean(d.Path) })
}

// skipped passes over what has gone, and what may not be read.
func skipped(path string, err error) error {
	if path == memoryRoot && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// file is an object with a name in the file system.
func (h *holders) file(kind, path string, st fs.FileInfo) (Object, bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	key, kok := inodeOf(st)
	if !ok || !kok {
		return Object{}, false
	}
	uid := sys.Uid
	o := Object{Kind: kind, Name: path, UID: &uid, Size: st.Size(), Since: st.ModTime()}
	o.State, o.PIDs = h.state(key, uid, kind != "fifo")
	if h.sure(st.Mode()) {
		o.remove = func() error { return removeFile(path, key) }
	}
	return o, true
}

func (h *holders) sockets(o Options) ([]Object, error) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	all := parseSockets(string(text))
	conns := map[string]int{}
	for _, s := range all {
		if s.connected && !s.listens && s.name != "" {
			conns[s.name]++
		}
	}
	var objects []Object
	for _, s := range all {
		accepted := s.connected && !s.listens && s.name != "" && s.kind != "datagram" // counted beside its listener
		if accepted || s.name == "" && !o.Unnamed {
			continue
		}
		objects = append(objects, h.socket(s, conns[s.name]))
	}
	return objects, nil
}

// socket is there as long as somebody has it, so it is always live.
func (h *holders) socket(s socket, conns int) Object {
	o := Object{Kind: "unix-socket", Name: cmp.Or(s.name, fmt.Sprintf("(unnamed %d)", s.inode)), State: Live, PIDs: h.of[inode{0, s.inode}], Detail: s.kind}
	if s.listens {
		o.Detail += fmt.Sprintf(", listens, %d connections", conns)
	}
	if st, err := os.Lstat(s.name); err == nil && strings.HasPrefix(s.name, "/") && st.Mode()&fs.ModeSocket != 0 {
		o.Since = st.ModTime()
		if uid, ok := ownerOf(s.name); ok {
			o.UID = &uid
		}
	} else if len(o.PIDs) > 0 {
		if uid, ok := ownerOf(fmt.Sprintf("/proc/%d", o.PIDs[0])); ok {
			o.UID = &uid
		}
	}
	return o
}

// pipes are the named ones that somebody has open, wherever they are, and
// those in the usual places.
func (h *holders) pipes() ([]Object, error) {
	seen := map[inode]bool{}
	var objects []Object
	note := func(path string) {
		st, err := os.Lstat(path)
		if err != nil || st.Mode()&fs.ModeNamedPipe == 0 {
			return
		}
		if key, ok := inodeOf(st); ok && !seen[key] {
			seen[key] = true
			if o, ok := h.file("fifo", path, st); ok {
				o.remove = nil // a pipe without ends waits for them, and is no waste
				objects = append(objects, o)
			}
		}
	}
	for _, path := range h.fifos {
		note(path)
	}
	for _, dir := range pipePlaces() {
		entries, _ := os.ReadDir(dir) // what may not be read is not for us to see
		for _, e := range entries {
			if e.Type()&fs.ModeNamedPipe != 0 {
				note(filepath.Join(dir, e.Name()))
			}
		}
	}
	return objects, nil
}

func pipePlaces() []string {
	places := []string{"/tmp", "/var/tmp", "/run", "/dev/shm", os.TempDir()}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		places = append(places, dir)
	}
	return places
}
