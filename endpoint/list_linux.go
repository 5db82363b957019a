// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
	"github.com/parley-ipc/parley/primitive/filelock"
)

func (n names) list(ctx context.Context, o ListOptions) ([]Info, error) {
	dirs, err := n.dirs.Chosen(o.All, o.User)
	if err != nil {
		return nil, err
	}
	var infos []Info
	for _, d := range dirs {
		if err := d.Check(); err != nil {
			infos = append(infos, Info{File: d.Path, UID: d.UID, Err: err})
			continue
		}
		more, err := listDir(ctx, d)
		if err != nil {
			return nil, err
		}
		infos = append(infos, more...)
	}
	return infos, nil
}

func listDir(ctx context.Context, d rundir.Dir) ([]Info, error) {
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return []Info{{File: d.Path, UID: d.UID, Err: fault.Wrap("list", d.Path, err)}}, nil
	}
	var infos []Info
	for _, e := range entries {
		if err := context.Cause(ctx); err != nil {
			return nil, fault.Wrap("list", d.Path, err)
		}
		info := Info{File: filepath.Join(d.Path, e.Name()), UID: d.UID}
		switch filepath.Ext(e.Name()) {
		case entrySuffix:
			info.read()
			info.Path = strings.TrimSuffix(info.File, entrySuffix) + socketSuffix
		case refSuffix:
			info.follow(d.Path)
		default:
			continue
		}
		if errors.Is(info.Err, fs.ErrNotExist) && info.refDir == "" {
			continue // removed since we read the directory
		}
		info.name(d)
		infos = append(infos, info)
	}
	return infos, nil
}

// follow reads the entry that the reference at i.File leads to.
func (i *Info) follow(dir string) {
	entry, err := readRef(i.File)
	if err != nil {
		i.Err = fault.Wrap("list", i.File, err)
		return
	}
	i.File, i.refDir = entry, dir
	i.Path = strings.TrimSuffix(entry, entrySuffix)
	i.read()
}

// read fills i in from the entry. Who owns the file and whether it is locked
// is the kernel's word, the rest the owner's.
func (i *Info) read() {
	f, err := openToRead(i.File)
	if err != nil {
		i.Err = fault.Wrap("list", i.File, err)
		return
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err == nil {
		i.UID = st.Sys().(*syscall.Stat_t).Uid
	}
	live, err := filelock.Region(f, lifeByte, 1).HeldElsewhere()
	if err != nil {
		i.Err = fault.Wrap("list", i.File, err)
		return
	}
	i.Live = live
	e, err := readEntry(f)
	if err != nil {
		i.Err = fault.Wrap("list", i.File, err)
		return
	}
	i.Scheme, i.PID, i.Started = e.scheme, int(e.pid), e.started
	i.Address, i.Executable = printable(e.address), printable(e.executable)
	i.Counters, i.inherited = e.snapshot(), e.flags&flagInherited != 0
}

// name makes the address one that we can dial: another user's name gets its
// owner before it, and what is no address is shown as none.
func (i *Info) name(d rundir.Dir) {
	if i.Err != nil {
		return
	}
	a, err := Parse(i.Address)
	if err != nil || a.Scheme != i.Scheme {
		i.Err = fault.New(fault.Protocol, "list", i.File, fmt.Errorf("its address %q is none", i.Address))
		i.Address, i.Scheme = "", ""
		return
	}
	switch {
	case a.Host != "":
		i.Path = ""
	case a.Path != "" && filepath.Base(a.Path)+entrySuffix == filepath.Base(i.File):
		i.Path = strings.TrimSuffix(i.File, entrySuffix)
	}
	if a.Name != "" && d.UID != uint32(os.Geteuid()) {
		a.User = strconv.FormatUint(uint64(d.UID), 10)
	}
	i.Address = a.String()
}

// openToRead does not wait for the writer of a fifo that stands in the way,
// nor follow a link.
func openToRead(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%w: it is %s", fault.Protocol, kindOfFile(st.Mode()))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// printable keeps another user's text from writing to our terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
