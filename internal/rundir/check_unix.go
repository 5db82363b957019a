// SPDX-License-Identifier: Apache-2.0

//go:build unix

package rundir

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/fault"
)

func ownUID() uint32 { return uint32(os.Geteuid()) }

// Check refuses d unless it is a directory of d.UID reached through no
// symlink, which nobody else can write to.
func (d Dir) Check() error {
	if link := d.symlink(); link != "" {
		real, err := filepath.EvalSymlinks(link)
		if err != nil {
			real = "what it stands for"
		}
		return d.denied("%s is a symbolic link", link).WithHint("write " + real + " instead, in PARLEY_RUNTIME_DIR, XDG_RUNTIME_DIR or TMPDIR")
	}
	st, err := d.stat()
	if err != nil {
		e := fault.New(fault.KindOf(err), "runtime directory", d.Path, err)
		if e.Kind == fault.Exhausted {
			e.Hint = "the descriptor table is full: raise `ulimit -n` or close connections"
		}
		return e
	}
	if owner := st.Uid; owner != d.UID {
		return d.denied("it belongs to uid %d, not to uid %d", owner, d.UID).WithHint("have its owner remove it, or set PARLEY_RUNTIME_DIR to a directory of your own")
	}
	if mode := fs.FileMode(st.Mode & 0o777); mode&0o022 != 0 {
		return d.denied("others may write to it: its mode is %04o", mode).WithHint("chmod go-w " + d.Path)
	}
	if d.Shared {
		return d.checkParent()
	}
	return nil
}

// checkParent wants the sticky bit on a directory that everybody may write
// to: without it anybody could rename d away.
func (d Dir) checkParent() error {
	parent := filepath.Dir(d.Path)
	st, err := os.Stat(parent)
	if err != nil {
		return fault.Wrap("runtime directory", d.Path, err)
	}
	if st.Mode().Perm()&0o022 != 0 && st.Mode()&fs.ModeSticky == 0 {
		return d.denied("others may write to %s, which lacks the sticky bit", parent).WithHint("chmod 1777 " + parent)
	}
	return nil
}

// firstSymlink returns the first component of path that is a symbolic link.
func firstSymlink(path string) string {
	var parts []string
	for p := path; p != filepath.Dir(p); p = filepath.Dir(p) {
		parts = append(parts, p)
	}
	for i := len(parts) - 1; i >= 0; i-- {
		if st, err := os.Lstat(parts[i]); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return parts[i]
		}
	}
	return ""
}
