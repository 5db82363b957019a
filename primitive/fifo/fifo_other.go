// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fifo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/waitfd"
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

// File is what an End can be made of.
type File = waitfd.File

// End needs Linux; elsewhere none can be made.
type End struct{ _ int }

// Pipe answers fault.Unsupported.
func Pipe(int) (r, w *End, err error) { return nil, nil, unsupported("make pipe", "") }

// NewEnd answers fault.Unsupported.
func NewEnd(File) (*End, error) { return nil, unsupported("open fifo", "") }

// File returns nil.
func (e *End) File() File { return nil }

// Close does nothing.
func (e *End) Close() error { return nil }

// Read answers fault.Unsupported.
func (e *End) Read(context.Context, []byte) (int, error) { return 0, unsupported("read from pipe", "") }

// Write answers fault.Unsupported.
func (e *End) Write(context.Context, []byte) (int, error) { return 0, unsupported("write to pipe", "") }

// Splice answers fault.Unsupported.
func Splice(context.Context, *End, *End, int) (int, error) { return 0, unsupported("splice", "") }

// Tee answers fault.Unsupported.
func Tee(context.Context, *End, *End, int) (int, error) { return 0, unsupported("tee", "") }

// Vmsplice answers fault.Unsupported.
func Vmsplice(context.Context, *End, []byte) (int, error) { return 0, unsupported("vmsplice", "") }

// SpliceRaw answers fault.Unsupported.
func SpliceRaw(_, _ syscall.RawConn, _ int) (int, error) { return 0, unsupported("splice", "") }
