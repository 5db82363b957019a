// SPDX-License-Identifier: Apache-2.0

//go:build !unix || solaris || aix

package filelock

import (
	"errors"
	"runtime"

	"github.com/parley-ipc/parley/fault"
)

func (l *Lock) unsupported() error {
	return fault.New(fault.Unsupported, "lock", l.f.Name(), errors.New("file locks are not implemented on "+runtime.GOOS))
}

func (l *Lock) control(Mode) error   { return l.unsupported() }
func (l *Lock) release() error       { return l.unsupported() }
func (l *Lock) query() (bool, error) { return false, l.unsupported() }
