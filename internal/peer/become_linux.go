// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"os"
	"os/exec"
	"syscall"

	"github.com/parley-ipc/parley/fault"
)

// become makes the child another user's process. The program may lie where
// that user cannot go, as after `go run`: this very file can be executed
// without a path.
func become(cmd *exec.Cmd, uid *uint32) error {
	if uid == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fault.New(fault.Denied, "start", cmd.Path, ErrNotAnother)
	}
	cmd.Path = "/proc/self/exe"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: *uid, Gid: *uid}}
	return nil
}
