// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks bounds the symlinks followed, as the kernel does.
const maxLinks = 40

// chain returns the directories in which a change can put another file at
// path: the one it lies in, and each that holds a symlink on the way there.
// Where the path stops existing, it is the last directory that does.
func chain(path string) []string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	var dirs []string
	volume := filepath.VolumeName(abs)
	root := volume + string(filepath.Separator)
	at, rest := root, parts(abs[len(volume):])
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		if len(rest) == 0 {
			dirs = append(dirs, at)
		}
		target, err := os.Readlink(next)
		if errors.Is(err, fs.ErrNotExist) {
			dirs = append(dirs, at)
			break
		}
		if err != nil { // not a link
			at = next
			continue
		}
		if links++; links > maxLinks {
			break
		}
		dirs = append(dirs, at)
		if filepath.IsAbs(target) {
			at, target = root, target[len(filepath.VolumeName(target)):]
		}
		rest = append(parts(target), rest...)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// parts splits a path at its separators and drops what means nothing. It
// does not resolve "..", which after a symlink is not what is written before.
func parts(path string) []string {
	return slices.DeleteFunc(strings.FieldsFunc(path, func(r rune) bool { return r < 128 && os.IsPathSeparator(uint8(r)) }),
		func(s string) bool { return s == "." })
}
