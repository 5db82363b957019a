// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package filelock

import (
	"context"
	"errors"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// Ranges needs Linux.
type Ranges struct{ f *os.File }

// Range needs Linux; elsewhere none is held.
type Range struct{ _ int }

// NewRanges returns ranges that cannot be locked here.
func NewRanges(f *os.File) *Ranges { return &Ranges{f} }

func (r *Ranges) unsupported() error {
	return fault.New(fault.Unsupported, "lock", r.f.Name(), errors.New("only Linux locks a range of a file this way"))
}

// Lock answers fault.Unsupported.
func (r *Ranges) Lock(context.Context, int64, int64, Mode) (*Range, error) {
	return nil, r.unsupported()
}

// TryLock answers fault.Unsupported.
func (r *Ranges) TryLock(int64, int64, Mode) (*Range, error) { return nil, r.unsupported() }

// Unlock does nothing.
func (r *Range) Unlock() error { return nil }
