// SPDX-License-Identifier: Apache-2.0

//go:build unix

package proctest

import (
	"os"
	"os/exec"
	"syscall"
)

// setAttributes gives the child a process group of its own, so that a signal
// reaches it through its prefix. Not PDEATHSIG: it fires when the thread that
// forked ends, not the process.
func setAttributes(cmd *exec.Cmd, o Options) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.UID == nil && o.GID == nil {
		return nil
	}
	cred := &syscall.Credential{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if o.UID != nil {
		cred.Uid, cred.Gid = *o.UID, *o.UID
	}
	if o.GID != nil {
		cred.Gid = *o.GID
	}
	cmd.SysProcAttr.Credential = cred
	return nil
}

// signalGroup signals the child's process group. Once the child was reaped its
// number may be somebody else's, unless one of its own still lives and holds
// stdout: the kernel gives no number away that a group still bears.
func (p *Process) signalGroup(sig syscall.Signal) error {
	select {
	case <-p.exited:
		select {
		case <-p.outDone:
			return nil
		default:
		}
	default:
	}
	return syscall.Kill(-p.cmd.Process.Pid, sig)
}
