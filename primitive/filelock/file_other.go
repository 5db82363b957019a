// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package filelock

import (
	"context"
	"errors"
	"io/fs"

	"github.com/parley-ipc/parley/fault"
)

// File needs Linux; elsewhere none can be taken.
type File struct{ _ int }

// FileConfig says how to take a lock file.
type FileConfig struct {
	Note string
	Mode fs.FileMode
}

func noFile(path string) error {
	return fault.New(fault.Unsupported, "lock", path, errors.New("lock files with their holder inside need Linux"))
}

// AcquireFile answers fault.Unsupported.
func AcquireFile(_ context.Context, path string, c FileConfig) (*File, error) {
	return TryFile(path, c)
}

// TryFile answers fault.Unsupported.
func TryFile(path string, c FileConfig) (*File, error) {
	if _, err := ourselves(c.Note); err != nil {
		return nil, fault.New(fault.TooLarge, "lock", path, err)
	}
	return nil, noFile(path)
}

// Release does nothing.
func (f *File) Release() error { return nil }

// HolderOf answers fault.Unsupported.
func HolderOf(path string) (Holder, bool, error) { return Holder{}, false, noFile(path) }
