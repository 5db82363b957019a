// SPDX-License-Identifier: Apache-2.0

package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/parley-ipc/parley/fault"
)

// The directories that Locator's zero value looks in.
const (
	DefaultShared = "/run/parley"
	DefaultUsers  = "/run/user"
)

// Locator says where runtime directories are looked for. Its zero value is
// the system's places and the process's environment.
type Locator struct {
	Shared string              // default /run/parley
	Users  string              // default /run/user
	Temp   string              // default os.TempDir()
	Getenv func(string) string // default os.Getenv
}

// Dir is the runtime directory of one uid.
type Dir struct {
	Path string
	UID  uint32

	// Shared says that it lies under /run/parley: others may pass through it,
	// its sockets are 0666 and policy decides who gets in.
	Shared bool
}

// SocketMode is the mode of the sockets in d.
func (d Dir) SocketMode() fs.FileMode {
	if d.Shared {
		return 0o666
	}
	return 0o600
}

func (d Dir) mode() fs.FileMode {
	if d.Shared {
		return 0o711
	}
	return 0o700
}

// Own returns our own runtime directory, checked. If it does not exist the
// error is fault.NotFound and the Dir says where it would be.
func (l Locator) Own() (Dir, error) {
	d, err := l.own()
	if err != nil {
		return d, err
	}
	return d, d.Check()
}

// Of returns another user's runtime directory, checked, like Own. The
// environment is ours and says nothing about it.
func (l Locator) Of(uid uint32) (Dir, error) {
	if uid == ownUID() {
		return l.Own()
	}
	d := l.of(uid)
	return d, d.Check()
}

// Ensure returns our own runtime directory and makes it if need be.
func (l Locator) Ensure() (Dir, error) {
	d, err := l.own()
	if err != nil {
		return d, err
	}
	parent := filepath.Dir(d.Path)
	if p := l.getenv("PARLEY_RUNTIME_DIR"); p != "" && d.Path == filepath.Clean(p) {
		err = os.MkdirAll(parent, 0o700)
	}
	if err == nil {
		err = os.Mkdir(d.Path, d.mode())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return d, d.makeError(parent, err)
	}
	if err := d.Check(); err != nil {
		return d, err
	}
	return d, d.repairMode()
}

// All returns the runtime directories that exist, of every uid, unchecked:
// our own first.
func (l Locator) All() []Dir {
	var dirs []Dir
	seen := map[string]bool{}
	add := func(d Dir) {
		if st, err := os.Lstat(d.Path); err == nil && st.IsDir() && !seen[d.Path] {
			seen[d.Path] = true
			dirs = append(dirs, d)
		}
	}
	if own, err := l.own(); err == nil {
		add(own)
	}
	for _, uid := range numbers(l.shared(), "") {
		add(Dir{Path: filepath.Join(l.shared(), uid.text), UID: uid.n, Shared: true})
	}
	for _, uid := range numbers(l.users(), "") {
		add(Dir{Path: filepath.Join(l.users(), uid.text, "parley"), UID: uid.n})
	}
	for _, uid := range numbers(l.temp(), "parley-") {
		add(Dir{Path: filepath.Join(l.temp(), "parley-"+uid.text), UID: uid.n})
	}
	return dirs
}

// Chosen returns the directories to look through: everybody's, a user's, or our
// own; none is not there yet.
func (l Locator) Chosen(all bool, user string) ([]Dir, error) {
	if all {
		return l.All(), nil
	}
	if user == "" {
		return present(l.Own())
	}
	uid, err := LookupUID(user)
	if err != nil {
		return nil, err
	}
	return present(l.Of(uid))
}

// present is nothing for a directory that is not there.
func present(d Dir, err error) ([]Dir, error) {
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return []Dir{d}, err
}

// own applies the order of DESIGN.md, "Names and addresses".
func (l Locator) own() (Dir, error) {
	uid := ownUID()
	if p := l.getenv("PARLEY_RUNTIME_DIR"); p != "" {
		if !filepath.IsAbs(p) {
			return Dir{}, fault.New(fault.Invalid, "runtime directory", p, errors.New("PARLEY_RUNTIME_DIR is not an absolute path"))
		}
		p = filepath.Clean(p)
		return Dir{Path: p, UID: uid, Shared: filepath.Dir(p) == filepath.Clean(l.shared())}, nil
	}
	if isDir(l.shared()) {
		return l.of(uid), nil
	}
	if x := l.getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(x) {
		return Dir{Path: filepath.Join(x, "parley"), UID: uid}, nil
	}
	return l.of(uid), nil
}

func (l Locator) of(uid uint32) Dir {
	text := strconv.FormatUint(uint64(uid), 10)
	if isDir(l.shared()) {
		return Dir{Path: filepath.Join(l.shared(), text), UID: uid, Shared: true}
	}
	if home := filepath.Join(l.users(), text); isDir(home) {
		return Dir{Path: filepath.Join(home, "parley"), UID: uid}
	}
	return Dir{Path: filepath.Join(l.temp(), "parley-"+text), UID: uid}
}

func (d Dir) makeError(parent string, err error) error {
	hint := "set PARLEY_RUNTIME_DIR to a directory of your own"
	switch {
	case d.Shared && errors.Is(err, fs.ErrPermission):
		hint = "run `parley setup` as root, which makes " + parent + " with mode 1777"
	case errors.Is(err, fs.ErrNotExist):
		hint = parent + " does not exist: make it, or set PARLEY_RUNTIME_DIR to a directory of your own"
	}
	return fault.New(fault.KindOf(err), "make runtime directory", d.Path, err).WithHint(hint)
}

// repairMode completes what a creator did that died before it was done, or
// whose umask was tight.
func (d Dir) repairMode() error {
	st, err := os.Lstat(d.Path)
	if err == nil && d.Shared && st.Mode().Perm() != 0o711 {
		err = os.Chmod(d.Path, 0o711)
	}
	return fault.Wrap("make runtime directory", d.Path, err)
}

func (d Dir) denied(format string, args ...any) *fault.Error {
	return fault.New(fault.Denied, "runtime directory", d.Path, fmt.Errorf(format, args...))
}

func (l Locator) shared() string { return or(l.Shared, DefaultShared) }
func (l Locator) users() string  { return or(l.Users, DefaultUsers) }
func (l Locator) temp() string   { return filepath.Clean(or(l.Temp, os.TempDir())) }

func (l Locator) getenv(key string) string {
	if l.Getenv != nil {
		return l.Getenv(key)
	}
	return os.Getenv(key)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
