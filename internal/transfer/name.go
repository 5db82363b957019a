// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parley-ipc/parley/fault"
)

// A partial file is ".NAME.parley-part-RANDOM" until it is whole.
const (
	partInfix  = ".parley-part-"
	partRandom = 16 // digits
	maxName    = 255
)

// CheckName refuses what is not one plain component of a path on every
// system: a received name decides where we write.
func CheckName(name string) error {
	err := checkName(name)
	if err == nil {
		return nil
	}
	return fault.New(fault.Invalid, "receive", fmt.Sprintf("%q", name), err)
}

func checkName(name string) error {
	switch {
	case name == "" || name == ".":
		return errors.New("it names no file")
	case len(name) > maxName:
		return fmt.Errorf("the name has %d bytes, at most %d are allowed", len(name), maxName)
	case strings.HasPrefix(name, ".."):
		return errors.New("the name starts with two dots")
	case strings.ContainsAny(name, `/\`):
		return errors.New("the name contains a separator: only base names are received")
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name contains a control character")
	case strings.HasPrefix(name, ".") && strings.Contains(name, partInfix):
		return errors.New("the name is one of a partial file")
	case !filepath.IsLocal(name):
		return errors.New("the name is reserved on this system")
	}
	return nil
}

// partName is the name of a partial file, cut so that it fits.
func partName(name, random string) string {
	for len(name) > maxName-len(partInfix)-1-partRandom {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return "." + name + partInfix + random
}

// isPart reports whether a file in a directory is one of ours, unfinished.
func isPart(name string) bool {
	i := strings.LastIndex(name, partInfix)
	return i > 0 && name[0] == '.' && len(name) == i+len(partInfix)+partRandom
}
