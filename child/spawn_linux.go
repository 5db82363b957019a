// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/startfail"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/process"
)

// spawn starts one process and connects to it. ctx bounds that, not its life.
func spawn(ctx context.Context, cfg Config) (*Process, error) {
	out, err := newOutput(cfg)
	if err != nil {
		return nil, startError(cfg, err)
	}
	var sock *net.UnixConn
	var theirs *os.File
	if !cfg.Plain {
		if sock, theirs, err = unixconn.Pair(); err != nil {
			out.close()
			return nil, startError(cfg, err)
		}
	}
	p, err := launch(cfg, out, theirs)
	if theirs != nil {
		_ = theirs.Close()
	}
	if err != nil {
		out.close()
		if sock != nil {
			_ = sock.Close()
		}
		return nil, err
	}
	if cfg.Plain {
		return p, nil
	}
	if err := p.connect(ctx, sock); err != nil {
		p.kill()
		<-p.done
		if p.endedByItself() {
			err = errors.Join(err, p.err)
		}
		return nil, fault.Wrap("start child", cfg.Name, err)
	}
	return p, nil
}

// launch starts the program. theirs, if any, becomes its descriptor 3.
func launch(cfg Config, out *output, theirs *os.File) (*Process, error) {
	cmd, done, err := command(cfg, out, theirs)
	if err != nil {
		return nil, startError(cfg, err)
	}
	defer done()
	t := &plainThread
	if cfg.NoNewPrivileges {
		t = &lockedThread
	}
	if err := t.do(func() error { return begin(cmd, cfg) }); err != nil {
		return nil, startError(cfg, err)
	}
	proc, err := process.Open(cmd.Process.Pid) // ours until we reap it
	if err != nil {
		_ = cmd.Process.Kill()
		return nil, startError(cfg, errors.Join(err, cmd.Wait()))
	}
	p := newProcess(cfg, proc, identity(cfg, cmd.Process.Pid))
	out.start()
	go p.reap(cmd, out)
	return p, nil
}

// begin runs in the thread that starts children. Limits and a group hold, and
// what we have blocked is unblocked, before the child's first instruction.
func begin(cmd *osexec.Cmd, cfg Config) error {
	if len(cfg.Limits) == 0 && cfg.Cgroup == "" {
		return process.Start(cmd, nil)
	}
	return process.Start(cmd, func(pid int) error {
		if err := enterGroup(pid, cfg.Cgroup); err != nil {
			return err
		}
		return setLimits(pid, cfg.Limits)
	})
}

// enterGroup works with either version of control groups.
func enterGroup(pid int, group string) error {
	if group == "" {
		return nil
	}
	err := os.WriteFile(filepath.Join(group, "cgroup.procs"), strconv.AppendInt(nil, int64(pid), 10), 0)
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	return nil
}

func setLimits(pid int, limits []Limit) error {
	for _, l := range limits {
		if err := unix.Prlimit(pid, l.Resource, &unix.Rlimit{Cur: l.Soft, Max: l.Hard}, nil); err != nil {
			return fmt.Errorf("resource limit %d to %d, %d: %w", l.Resource, l.Soft, l.Hard, os.NewSyscallError("prlimit", err))
		}
	}
	return nil
}

// command also returns what to do once it has been started.
func command(cfg Config, out *output, theirs *os.File) (*osexec.Cmd, func(), error) {
	cmd := osexec.Command(cfg.Path, cfg.Args...)
	cmd.Dir, cmd.Env = cfg.Dir, cfg.environ()
	if cfg.Stdin != nil {
		cmd.Stdin = cfg.Stdin
	}
	if out.child[0] != nil {
		cmd.Stdout = out.child[0]
	}
	if out.child[1] != nil {
		cmd.Stderr = out.child[1]
	}
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if cfg.Orphan == Survive {
		attr = &syscall.SysProcAttr{Setsid: true}
	}
	cmd.SysProcAttr = attr
	if cfg.UID != nil || cfg.GID != nil {
		id := identity(cfg, 0)
		attr.Credential = &syscall.Credential{Uid: id.UID, Gid: id.GID}
	}
	if theirs != nil {
		offered, err := announce(cfg, theirs)
		if err != nil {
			return nil, nil, err
		}
		cmd.ExtraFiles = []*os.File{theirs} // the first is descriptor 3
		cmd.Env = append(cmd.Env, offered)
	}
	if cfg.SHA256 == nil {
		return cmd, func() {}, nil
	}
	f, err := verified(cmd.Path, cfg.SHA256)
	if err != nil {
		return nil, nil, err
	}
	// The very file that was read, whatever its path names by now. The child
	// still has our descriptor when it executes it.
	cmd.Path = fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	return cmd, func() { _ = f.Close() }, nil
}

// announce tells the child which descriptor it inherits, by its inode, lest a
// grandchild with the same variable take another for it.
func announce(cfg Config, theirs *os.File) (string, error) {
	info, err := theirs.Stat()
	if err != nil {
		return "", err
	}
	v := fmt.Sprintf("%s=3,%d", EnvFD, info.Sys().(*syscall.Stat_t).Ino)
	if cfg.Orphan == Survive {
		v += "," + cfg.Name
	}
	return v, nil
}

// identity is what we know of the child because we made it so. The socket's
// own credentials would name us.
func identity(cfg Config, pid int) auth.Identity {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if cfg.UID != nil {
		uid, gid = *cfg.UID, *cfg.UID
	}
	if cfg.GID != nil {
		gid = *cfg.GID
	}
	return auth.Identity{Method: auth.Spawned, HasUID: true, UID: uid, GID: gid, PID: pid}
}

func startError(cfg Config, err error) error {
	return startfail.Explain("start child", cfg.Name, cfg.Dir, cfg.UID != nil || cfg.Cgroup != "", err)
}
