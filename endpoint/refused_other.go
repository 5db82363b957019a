// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package endpoint

import (
	"errors"
	"syscall"
)

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
