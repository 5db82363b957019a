// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.Main(m, map[string]proctest.Role{"dial": dialRole})
}

// dialRole connects and stays until it is told to go.
func dialRole(p *proctest.Self) error {
	c, err := net.Dial("unix", p.Args[0])
	if err != nil {
		return err
	}
	p.Say("connected")
	_, _ = p.Hear()
	return c.Close()
}

// The kernel names the process that connected, by number and by pidfd; once
// it has gone the pidfd says so, whoever has the number by then.
func TestPeerIsTheProcessThatConnected(t *testing.T) {
	ln, err := Listen(filepath.Join(t.TempDir(), "s"), "unix://s", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	child := proctest.Start(t, "dial", ln.Addr().String())
	child.Expect("connected")
	c, err := ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	id, err := PeerIdentity(c)
	if err != nil {
		t.Fatal(err)
	}
	if id.Method != auth.Kernel || !id.HasUID || int(id.UID) != os.Geteuid() || id.PID != child.Pid() {
		t.Errorf("the peer is %+v, want our uid and pid %d", id, child.Pid())
	}
	pidfd, err := PeerPidfd(c)
	if errors.Is(err, fault.Unsupported) {
		t.Skip("the kernel has no SO_PEERPIDFD: it needs Linux 6.5")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pidfd.Close() }()
	if err := unix.PidfdSendSignal(int(pidfd.Fd()), 0, nil, 0); err != nil {
		t.Errorf("the peer's pidfd: %v, want a living process", err)
	}
	child.Kill()
	if err := unix.PidfdSendSignal(int(pidfd.Fd()), 0, nil, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the peer's pidfd after its death: %v, want ESRCH", err)
	}
}
