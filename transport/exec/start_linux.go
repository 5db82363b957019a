// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	osexec "os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/startfail"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/process"
)

// Dial starts the program of an exec: address, without a shell, in a process
// group of its own, and connects to its stdin and stdout. It also offers the
// child a socketpair; with ?parley=true Dial waits until the child has taken
// it, else ends the child and returns fault.Protocol.
//
// ctx bounds Dial, not the child's life: that ends with Close. Whether exec:
// is acceptable at all is for the caller to have checked.
func Dial(ctx context.Context, addr endpoint.Address, cfg Config) (*Conn, error) {
	if addr.Scheme != endpoint.Exec || len(addr.Args) == 0 {
		return nil, fault.New(fault.Invalid, "dial", addr.String(), errors.New("not an exec: address"))
	}
	if ctx.Err() != nil {
		return nil, fault.Wrap("dial", addr.String(), context.Cause(ctx))
	}
	c, err := start(addr, cfg.withDefaults())
	if err != nil {
		return nil, err
	}
	if addr.Flag("parley") {
		if err := c.awaitTake(ctx); err != nil {
			_ = c.kid.proc.Signal(unix.SIGKILL)
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

// ends are the files of one connection. Ours are in the poller: each is the
// only descriptor of its open file description. The child's are closed once
// it has started.
type ends struct {
	stdin, stdout, stderr *os.File // ours; stderr may be nil
	sock                  *net.UnixConn
	child                 []*os.File // stdin, stdout, stderr, offered socket
}

func (e *ends) closeChild() {
	for _, f := range e.child {
		if f != nil {
			_ = f.Close()
		}
	}
}

func (e *ends) closeAll() {
	e.closeChild()
	for _, f := range []*os.File{e.stdin, e.stdout, e.stderr} {
		if f != nil {
			_ = f.Close()
		}
	}
	if e.sock != nil {
		_ = e.sock.Close()
	}
}

func makeEnds(withStderr bool) (*ends, error) {
	e := &ends{child: make([]*os.File, 4)}
	var errs [4]error
	e.child[0], e.stdin, errs[0] = os.Pipe()
	e.stdout, e.child[1], errs[1] = os.Pipe()
	if withStderr {
		e.stderr, e.child[2], errs[2] = os.Pipe()
	}
	e.sock, e.child[3], errs[3] = unixconn.Pair()
	if err := errors.Join(errs[:]...); err != nil {
		e.closeAll()
		return nil, err
	}
	return e, nil
}

func (e *ends) offer() (offer, error) {
	o := offer{fd: 3, version: ProtocolVersion}
	_, _ = rand.Read(o.nonce[:]) // never fails
	for _, b := range []struct {
		ino  *uint64
		file *os.File
	}{{&o.stdin, e.child[0]}, {&o.stdout, e.child[1]}, {&o.socket, e.child[3]}} {
		info, err := b.file.Stat()
		if err != nil {
			return offer{}, err
		}
		*b.ino = info.Sys().(*syscall.Stat_t).Ino
	}
	return o, nil
}

func start(addr endpoint.Address, cfg Config) (*Conn, error) {
	e, err := makeEnds(cfg.Stderr == nil || !isFile(cfg.Stderr))
	if err != nil {
		return nil, fault.Wrap("dial", addr.String(), err)
	}
	o, err := e.offer()
	if err != nil {
		e.closeAll()
		return nil, fault.Wrap("dial", addr.String(), err)
	}
	cmd := command(addr, cfg, e, o)
	if err := process.Start(cmd, nil); err != nil {
		e.closeAll()
		return nil, startfail.Explain("dial", addr.String(), cfg.Dir, cfg.UID != nil, err)
	}
	e.closeChild()
	// A pidfd of our own, not SysProcAttr.PidFD: that one is a duplicate of the
	// one on which os/exec waits, and the O_NONBLOCK that the poller needs
	// makes waitid answer EAGAIN on both. The number is the child's until we
	// reap it.
	proc, err := process.Open(cmd.Process.Pid)
	if err != nil {
		e.closeAll()
		_ = cmd.Process.Kill()
		return nil, fault.Wrap("dial", addr.String(), errors.Join(err, cmd.Wait()))
	}
	return newConn(addr, cfg, e, o, cmd, proc), nil
}

func isFile(w any) bool { _, ok := w.(*os.File); return ok }

func command(addr endpoint.Address, cfg Config, e *ends, o offer) *osexec.Cmd {
	cmd := osexec.Command(addr.Args[0], addr.Args[1:]...)
	cmd.Dir = cfg.Dir
	cmd.Env = cfg.Env
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], EnvFD+"="+o.String()) // the last of a name wins
	cmd.Stdin, cmd.Stdout = e.child[0], e.child[1]
	if f, ok := cfg.Stderr.(*os.File); ok {
		cmd.Stderr = f
	} else {
		cmd.Stderr = e.child[2]
	}
	cmd.ExtraFiles = []*os.File{e.child[3]} // the first is descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if cfg.UID != nil || cfg.GID != nil {
		id := identity(cfg, 0)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: id.UID, Gid: id.GID}
	}
	return cmd
}

// identity is what we know of the child because we made it so.
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
