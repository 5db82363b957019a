// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"strconv"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/process"
)

// attach finds a child that survived an earlier life of ours: whoever listens
// at its name in the runtime directory of the uid that we would give it, if it
// is that uid and runs the program that we would start. It is nil, nil if
// nobody is there.
func attach(ctx context.Context, cfg Config) (*Process, error) {
	addr := rendezvous(cfg.Name)
	if cfg.anotherUsers() {
		addr.User = strconv.FormatUint(uint64(*cfg.UID), 10)
	}
	path, err := endpoint.DialPath(addr)
	if fault.KindOf(err) == fault.Unavailable {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sock, err := unixconn.Dial(ctx, path, addr.String())
	if fault.KindOf(err) == fault.Unavailable {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := recognise(sock, cfg)
	if err != nil {
		return nil, errors.Join(fault.Wrap("attach to child", cfg.Name, err), sock.Close())
	}
	go p.watch()
	if err := p.connect(ctx, sock); err != nil {
		p.forget()
		return nil, fault.Wrap("attach to child", cfg.Name, err)
	}
	return p, nil
}

// recognise says who listens there: by the kernel's word, not by a number that
// somebody wrote down.
func recognise(sock *net.UnixConn, cfg Config) (*Process, error) {
	peer, err := unixconn.PeerIdentity(sock)
	if err != nil {
		return nil, err
	}
	if want := identity(cfg, 0); !peer.HasUID || peer.UID != want.UID {
		return nil, fault.New(fault.Denied, "attach to child", cfg.Name, fmt.Errorf("%s listens there, and the child would be uid %d", peer, want.UID))
	}
	proc, err := openPeer(sock, peer)
	if err != nil {
		return nil, err
	}
	if err := sameProgram(peer.PID, cfg); err != nil {
		return nil, errors.Join(err, proc.Close())
	}
	if !proc.Alive() { // then the number may have been another's when we looked
		return nil, errors.Join(fault.New(fault.Unavailable, "attach to child", cfg.Name, errors.New("it has just ended")), proc.Close())
	}
	p := newProcess(cfg, proc, peer)
	p.attached = true
	return p, nil
}

func openPeer(sock *net.UnixConn, peer auth.Identity) (*process.Process, error) {
	pidfd, err := unixconn.PeerPidfd(sock)
	if err == nil {
		return process.FromFD(pidfd)
	}
	if fault.KindOf(err) != fault.Unsupported {
		return nil, err
	}
	return process.Open(peer.PID) // before Linux 6.5; the connection is alive, so it is the one
}

// sameProgram wants the process to run the file that we would start.
func sameProgram(pid int, cfg Config) error {
	path, err := osexec.LookPath(cfg.Path)
	if err != nil {
		return err
	}
	running := fmt.Sprintf("/proc/%d/exe", pid)
	want, err1 := os.Stat(path)
	got, err2 := os.Stat(running)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !os.SameFile(want, got) {
		exe, _ := os.Readlink(running)
		return fault.New(fault.InUse, "attach to child", cfg.Name, fmt.Errorf("pid %d, which has the name, runs %s, not %s", pid, exe, path)).
			WithHint("stop it, or choose another Name; after an upgrade, stop the old one")
	}
	if cfg.SHA256 == nil {
		return nil
	}
	f, err := verified(running, cfg.SHA256)
	if err != nil {
		return err
	}
	return f.Close()
}
