// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fifo

import (
	"errors"
	"io/fs"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// FIFO needs Linux; elsewhere none can be made.
type FIFO struct{ _ int }

func unsupported(op, path string) error {
	return fault.New(fault.Unsupported, op, path, errors.New("named pipes without blocking need Linux"))
}

// Make answers fault.Unsupported.
func Make(path string, _ fs.FileMode) (*FIFO, error) { return nil, unsupported("make fifo", path) }

// Find answers fault.Unsupported.
func Find(path string) (*FIFO, error) { return nil, unsupported("open fifo", path) }

// Close does nothing.
func (f *FIFO) Close() error { return nil }

// Capacity answers fault.Unsupported.
func Capacity(f *os.File) (int, error) { return 0, unsupported("fifo capacity", f.Name()) }

// SetCapacity answers fault.Unsupported.
func SetCapacity(f *os.File, _ int) (int, error) { return 0, unsupported("fifo capacity", f.Name()) }
