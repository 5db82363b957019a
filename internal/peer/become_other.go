// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package peer

import (
	"os/exec"

	"github.com/parley-ipc/parley/fault"
)

func become(cmd *exec.Cmd, uid *uint32) error {
	if uid == nil {
		return nil
	}
	return fault.New(fault.Unsupported, "start", cmd.Path, ErrNotAnother)
}
