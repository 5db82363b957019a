// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package procsync

import (
	"errors"
	"os"

	"github.com/parley-ipc/parley/fault"
)

type lives struct {
	file *os.File
	base int64
	own  bool
}

func errUnsupported(name string) error {
	return fault.New(fault.Unsupported, "attach", name, errors.New("proof of death needs Linux"))
}

func livesOf(_ *os.File, name string) (*lives, error) { return nil, errUnsupported(name) }

func (l *lives) close() error           { return nil }
func (l *lives) take(int) (bool, error) { return false, errUnsupported("") }
func (l *lives) drop(int) error         { return nil }
func (l *lives) held(int) bool          { return true }

func remember(slot, bool) (forget func(), err error) { return nil, errUnsupported("") }

func whoAmI() (pid, uid uint32) { return 0, 0 }

func monotonic() uint64 { return 0 }
