// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package proctest

import (
	"errors"
	"os/exec"
	"syscall"
)

func setAttributes(_ *exec.Cmd, o Options) error {
	if o.UID != nil || o.GID != nil {
		return errors.New("another user's process needs a Unix system")
	}
	return nil
}

func (p *Process) signalGroup(syscall.Signal) error {
	return errors.ErrUnsupported
}
