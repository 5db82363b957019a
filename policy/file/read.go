// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
)

// MaxSize is the size in bytes beyond which a policy file is refused.
const MaxSize = 1 << 20

// Load reads the file once. Its error is fault.Invalid and holds Mistakes if
// the rules are wrong, and of another kind if the file could not be read.
func Load(path string, o policy.Options) (*policy.Policy, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text, o)
}

// read returns the text of a regular file that nobody but root and we can
// have written. What is checked is the open file, not the name.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, openFlags, 0)
	if err != nil {
		return nil, fault.Wrap("policy", path, cause(err))
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.Wrap("policy", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Invalid, "policy", path, errors.New("it is not a regular file"))
	}
	if err := checkWriters(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fault.Wrap("policy", path, err)
	}
	if len(text) > MaxSize {
		return nil, fault.New(fault.TooLarge, "policy", path, fmt.Errorf("it is larger than %d bytes", MaxSize)).
			WithHint("name groups or use globs instead of many single rules")
	}
	return text, nil
}

// cause strips the operation and the path that an *fs.PathError repeats.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
