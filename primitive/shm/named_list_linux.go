// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/boot"
	"github.com/parley-ipc/parley/internal/rundir"
	"github.com/parley-ipc/parley/primitive/filelock"
)

func (in namedIn) list(ctx context.Context, o NamedOptions) ([]NamedInfo, error) {
	dirs, err := in.dirs.Chosen(o.All, o.User)
	if err != nil {
		return nil, err
	}
	var infos []NamedInfo
	for _, d := range dirs {
		more, err := listDir(ctx, d, o.Kind)
		if err != nil {
			return nil, err
		}
		infos = append(infos, more...)
	}
	return infos, nil
}

func listDir(ctx context.Context, d rundir.Dir, kind string) ([]NamedInfo, error) {
	unreadable := func(err error) []NamedInfo {
		return []NamedInfo{{File: d.Path, UID: d.UID, Err: fault.Wrap("list", d.Path, err)}}
	}
	if err := d.Check(); err != nil {
		return unreadable(err), nil
	}
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return unreadable(err), nil
	}
	o := &opening{op: "list", dir: d}
	if o.at, err = enter(d); err != nil {
		return unreadable(err), nil
	}
	defer o.at.close()
	var infos []NamedInfo
	for _, e := range entries {
		if err := context.Cause(ctx); err != nil {
			return nil, fault.Wrap("list", d.Path, err)
		}
		name, k, ok := cutBase(e.Name())
		if !ok || kind != "" && k != kind {
			continue
		}
		if !o.ours() {
			name = strconv.FormatUint(uint64(d.UID), 10) + "@" + name
		}
		i := NamedInfo{Name: name, Kind: k, UID: d.UID, File: filepath.Join(d.Path, e.Name()), base: e.Name()}
		i.Err = i.read(o)
		if !errors.Is(i.Err, fs.ErrNotExist) { // removed since we read the directory
			infos = append(infos, i)
		}
	}
	return infos, nil
}

// read fills i in. Who owns the file and what is locked is the kernel's word,
// the rest the maker's.
func (i *NamedInfo) read(o *opening) error {
	f, err := o.at.open(i.base, os.O_RDONLY)
	if err != nil {
		return fault.Wrap("list", i.File, err)
	}
	defer func() { _ = f.Close() }()
	if err := o.checkFile(f); err != nil {
		return fault.Wrap("list", i.File, err)
	}
	return fault.Wrap("list", i.File, i.examine(f))
}

func (i *NamedInfo) examine(f *os.File) error {
	changing, err1 := filelock.Region(f, changeByte, 1).HeldElsewhere()
	owned, err2 := filelock.Region(f, lifeByte, 1).HeldElsewhere()
	used, err3 := filelock.Region(f, useByte, 1).HeldElsewhere()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	i.Owned, i.Used = owned, used
	h, err := readHeader(f)
	if errors.Is(err, errHalfMade) {
		i.Stale, i.Used = !changing, changing
		return nil
	}
	if err != nil {
		return err
	}
	if h.kind != i.Kind {
		return fmt.Errorf("%w: inside it says that it is a %q", fault.Protocol, printable(h.kind))
	}
	i.Size, i.PID, i.Executable, i.Created = int64(h.size), int(h.pid), printable(h.executable), h.created
	i.Stale = h.gone(boot.ID())
	return nil
}

func (in namedIn) unlink(ctx context.Context, name string, c NamedConfig, force bool) error {
	c, err := NamedConfig{Kind: c.Kind, Patience: c.Patience}.checked()
	if err != nil {
		return namedError("remove", name, c.Kind, fault.Invalid, err)
	}
	o := &opening{NamedConfig: c, op: "remove", name: name}
	if err := o.find(in); err != nil {
		return o.failed(err)
	}
	defer o.at.close()
	return o.failed(o.remove(ctx, func(f *os.File) error {
		used, err := filelock.Region(f, useByte, 1).HeldElsewhere()
		if err == nil && used && !force {
			err = fault.New(fault.InUse, o.op, o.name, errors.New("somebody has it open"))
		}
		return err
	}))
}

func (in namedIn) removeStale(ctx context.Context, info NamedInfo) error {
	c, err := NamedConfig{Kind: info.Kind}.checked()
	if err != nil || info.base == "" {
		return fault.New(fault.Invalid, "remove", info.File, errors.New("it is no named segment"))
	}
	dir := rundir.Dir{Path: filepath.Dir(info.File), UID: info.UID}
	o := &opening{NamedConfig: c, op: "remove", name: info.Name, base: info.base, dir: dir}
	if o.at, err = enter(dir); err != nil {
		return o.failed(err)
	}
	defer o.at.close()
	err = o.remove(ctx, func(f *os.File) error {
		h, err := readHeader(f)
		if err == nil && !h.gone(boot.ID()) {
			return fmt.Errorf("%w: it was made anew", fault.InUse)
		}
		if errors.Is(err, errHalfMade) {
			err = nil
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody else did it
	}
	return o.failed(err)
}

// remove removes the file if may says so, while it has the right to change
// it: whoever opens the name meanwhile waits, and finds that its file is gone.
func (o *opening) remove(ctx context.Context, may func(*os.File) error) error {
	for range maxReopens {
		err := o.removeOnce(ctx, may)
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", fault.InUse, errReplaced)
}

func (o *opening) removeOnce(ctx context.Context, may func(*os.File) error) error {
	f, err := o.openFile()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	change := filelock.Region(f, changeByte, 1)
	if err := o.waitLock(ctx, change); err != nil {
		return err
	}
	defer func() { _ = change.Unlock() }()
	if !o.at.is(o.base, f) {
		return errReplaced
	}
	if err := may(f); err != nil {
		return err
	}
	return o.at.remove(o.base)
}
