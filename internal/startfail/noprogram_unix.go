// SPDX-License-Identifier: Apache-2.0

//go:build unix

package startfail

import (
	"errors"
	"syscall"
)

func noProgram(err error) bool { return errors.Is(err, syscall.ENOEXEC) }
