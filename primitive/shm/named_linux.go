// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/boot"
	"github.com/parley-ipc/parley/internal/rundir"
	"github.com/parley-ipc/parley/primitive/filelock"
)

const maxReopens = 1000 // times that the file may be replaced under our hands

var errReplaced = errors.New("others keep replacing it")

// opening is one call of OpenNamed or Unlink.
type opening struct {
	NamedConfig
	op   string
	name string // as it was given
	base string // the file's
	dir  rundir.Dir
	at   *folder // dir, open
}

func (in namedIn) open(ctx context.Context, name string, c NamedConfig) (*Named, error) {
	c, err := c.checked()
	if err != nil {
		return nil, namedError("open", name, c.Kind, fault.Invalid, err)
	}
	o := &opening{NamedConfig: c, op: "open", name: name}
	if err := o.find(in); err != nil {
		return nil, o.failed(err)
	}
	defer o.at.close()
	for range maxReopens {
		n, err := o.try(ctx)
		if !errors.Is(err, errReplaced) && !errors.Is(err, fs.ErrExist) {
			return n, o.failed(err)
		}
	}
	return nil, o.failed(fmt.Errorf("%w: %w", fault.InUse, errReplaced))
}

// find opens the directory that the name lies in.
func (o *opening) find(in namedIn) error {
	user, name, err := cutUser(o.name)
	if err != nil {
		return fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	if o.base = baseName(name, o.Kind); len(o.base) > unix.NAME_MAX {
		return fmt.Errorf("%w: the name has more than %d bytes", fault.TooLarge, unix.NAME_MAX-len(o.base)+len(name))
	}
	switch {
	case user != "":
		var uid uint32
		if uid, err = rundir.LookupUID(user); err != nil {
			return err
		}
		o.dir, err = in.dirs.Of(uid)
	case o.makes():
		o.dir, err = in.dirs.Ensure()
	default:
		o.dir, err = in.dirs.Own()
	}
	if err != nil {
		return err
	}
	if o.Access != nil && !o.ours() {
		return fmt.Errorf("%w: only its owner lets others in", fault.Invalid)
	}
	wide := o.Mode != 0o600 && o.makes() || o.Access != nil && !o.Access.nobody()
	if wide && !o.dir.Shared {
		return fmt.Errorf("%w: other users cannot reach into %s: `parley setup` makes a place where they can", fault.Invalid, o.dir.Path)
	}
	o.at, err = enter(o.dir)
	return err
}

// try opens or makes the file and takes the right to change it. errReplaced
// and fs.ErrExist mean that somebody else was faster.
func (o *opening) try(ctx context.Context) (n *Named, err error) {
	f, err := o.openFile()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	change := filelock.Region(f, changeByte, 1)
	if err := o.waitLock(ctx, change); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, change.Unlock()) }()
	if !o.at.is(o.base, f) {
		return nil, errReplaced
	}
	n = &Named{
		name: o.name, kind: o.Kind, path: filepath.Join(o.dir.Path, o.base), file: f, write: !o.ReadOnly, reached: o.dir.Shared || !o.ours(),
		use: filelock.Region(f, useByte, 1), owner: filelock.Region(f, lifeByte, 1),
	}
	if err := o.attach(n); err != nil {
		return nil, errors.Join(err, n.use.Unlock())
	}
	return n, nil
}

// openFile opens first and creates second, so that New finds what it refuses.
func (o *opening) openFile() (*os.File, error) {
	flags := os.O_RDWR
	if o.ReadOnly {
		flags = os.O_RDONLY
	}
	f, err := o.at.open(o.base, flags)
	if errors.Is(err, fs.ErrNotExist) && o.makes() && o.ours() {
		f, err = o.at.open(o.base, flags|os.O_CREATE|os.O_EXCL)
	}
	if err != nil {
		return nil, err
	}
	if err := o.checkFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (o *opening) ours() bool { return int64(o.dir.UID) == int64(os.Geteuid()) }

// checkFile wants a regular file of the directory's owner, with one name.
func (o *opening) checkFile(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	sys := st.Sys().(*syscall.Stat_t)
	switch {
	case !st.Mode().IsRegular():
		return fmt.Errorf("%w: %s is no regular file", fault.Protocol, f.Name())
	case sys.Uid != o.dir.UID:
		return fmt.Errorf("%w: %s belongs to uid %d, not to uid %d", fault.Denied, f.Name(), sys.Uid, o.dir.UID)
	case sys.Nlink > 1:
		return fmt.Errorf("%w: %s has another name, too", fault.Denied, f.Name())
	}
	return nil
}

// waitLock tries until Patience or ctx ends. Who holds the lock has a few
// system calls and an Init to make.
func (o *opening) waitLock(ctx context.Context, l *filelock.Lock) error {
	mode := filelock.Exclusive
	if o.ReadOnly {
		mode = filelock.Shared
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Patience, fault.New(fault.Timeout, o.op, o.name,
		fmt.Errorf("another process has been making or removing it for %v", o.Patience)).WithHint("see who has "+filepath.Join(o.dir.Path, o.base)+" open"))
	defer cancel()
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		err := l.TryLock(mode)
		if err == nil || fault.KindOf(err) != fault.InUse {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// attach runs alone among makers, openers and removers of this file.
func (o *opening) attach(n *Named) error {
	h, err := readHeader(n.file)
	switch {
	case errors.Is(err, errHalfMade), err == nil && h.gone(boot.ID()):
		// Whoever began it is dead, or it is from an earlier boot: else the
		// lock would be held. It is ours to make, from the beginning.
		if err := o.make(n); err != nil {
			return errors.Join(err, o.discard(n))
		}
	case err != nil:
		return err
	default:
		if err := o.check(h); err != nil {
			return err
		}
		if n.mem, err = mapMemory(n.fd(), headerSize+int(h.size), n.write, false); err != nil {
			return err
		}
	}
	if err := o.admit(n); err != nil {
		return errors.Join(err, unmap(n.mem))
	}
	return n.use.TryLock(filelock.Shared)
}

func (o *opening) check(h *header) error {
	switch {
	case o.New:
		return fmt.Errorf("%w: pid %d (%s) made it on %s", fault.InUse, h.pid, printable(h.executable), h.created.Format(time.RFC3339))
	case h.kind != o.Kind:
		return fmt.Errorf("%w: it is a %q", fault.Protocol, h.kind)
	case o.Size > 0 && uint64(o.Size) != h.size:
		return fault.New(fault.Invalid, o.op, o.name, fmt.Errorf("it has %d bytes, not %d", h.size, o.Size)).
			WithHint("use another name, or remove this one")
	}
	return nil
}

// make fills the file: reserve, Init, header, mode, and the magic last.
func (o *opening) make(n *Named) error {
	if !o.makes() || !o.ours() {
		return fmt.Errorf("%w: what is there has not been finished, or is from before the machine started", fault.NotFound)
	}
	if err := n.reserve(o.Size); err != nil {
		return err
	}
	mem, err := mapMemory(n.fd(), headerSize+o.Size, true, false)
	if err != nil {
		return err
	}
	n.mem, n.created = mem, true
	if o.Init != nil {
		if err := o.Init(n.Bytes()); err != nil {
			return err
		}
	}
	h := header{size: uint64(o.Size), created: time.Now(), boot: boot.ID(), kind: o.Kind,
		pid: uint32(os.Getpid()), uid: uint32(os.Geteuid()), executable: executable()}
	if _, err := n.file.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	if err := n.file.Chmod(o.Mode); err != nil {
		return err
	}
	_, err = n.file.WriteAt([]byte(headerMagic), 0)
	return err
}

// discard removes what was half-made. Removed before it is unlocked, it is
// seen by nobody.
func (o *opening) discard(n *Named) error {
	var err error
	if n.mem != nil {
		err = unmap(n.mem)
		n.mem = nil
	}
	if o.makes() && o.ours() {
		err = errors.Join(err, o.at.remove(o.base))
	}
	return err
}

// reserve empties the file and allocates all of it, so that a full file
// system is an error now.
func (n *Named) reserve(size int) error {
	whole := int64(size) + headerSize
	if err := n.file.Truncate(0); err != nil {
		return err
	}
	if inMemory(n.fd()) {
		if err := headroom(int(min(whole, math.MaxInt))); err != nil {
			return err
		}
	}
	if err := n.file.Truncate(whole); err != nil {
		return exhausted("make segment", "ftruncate", err)
	}
	for {
		err := unix.Fallocate(n.fd(), 0, 0, whole)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP):
			return n.writeZeros(whole)
		}
		return exhausted("make segment", "fallocate", err)
	}
}

// writeZeros reserves where the file system cannot be asked to.
func (n *Named) writeZeros(whole int64) error {
	zeros := make([]byte, 64<<10)
	for at := int64(0); at < whole; at += int64(len(zeros)) {
		if _, err := n.file.WriteAt(zeros[:min(int64(len(zeros)), whole-at)], at); err != nil {
			return exhausted("make segment", "pwrite", err)
		}
	}
	return nil
}

// fd stays blocking or not, as it is: os.File.Fd leaves a regular file alone.
func (n *Named) fd() int { return int(n.file.Fd()) }

func inMemory(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && int64(st.Type) == unix.TMPFS_MAGIC //nolint:unconvert // 32 bits on some
}

func readHeader(f *os.File) (*header, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, headerSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && n == int(min(st.Size(), headerSize)) {
		err = nil // io.EOF: the file is shorter
	}
	if err != nil {
		return nil, err
	}
	return decodeHeader(b[:n], st.Size())
}

func (o *opening) failed(err error) error {
	if err == nil {
		return nil
	}
	e := namedError(o.op, o.name, o.Kind, fault.KindOf(err), err)
	switch {
	case errors.Is(err, syscall.ELOOP):
		e.Kind, e.Hint = fault.Denied, "there is a symbolic link of that name: remove it"
	case e.Kind == fault.Denied && !o.ours():
		e.Hint = "it lets only its owner in, unless it was made with a wider mode"
	}
	return e
}

func executable() string {
	exe, err := os.Executable()
	if err != nil {
		return "?"
	}
	return exe
}
