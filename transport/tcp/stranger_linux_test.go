// SPDX-License-Identifier: Apache-2.0

package tcp_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/transport"
)

// ownRoles are those of the tests beside the suite.
var ownRoles = map[string]proctest.Role{"stranger": strangerRole, "network": networkRole}

// strangerRole dials, says who answers and reads to the end.
func strangerRole(p *proctest.Self) error {
	c, err := dial(context.Background(), p.Args[0], transport.DialConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	p.Say(c.Peer().String())
	got, err := io.ReadAll(c)
	p.Say(fmt.Sprintf("%q %v", got, err))
	return nil
}

// TestStranger: another uid is denied by default, and let in by a rule.
func TestStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to start a process of another uid")
	}
	uid := uint32(12345)
	start := func(l transport.Listener) *proctest.Process {
		return proctest.StartWith(t, proctest.Options{Role: "stranger", Args: []string{l.Address().String()}, UID: &uid, GID: &uid})
	}

	p := start(serve(t, "tcp://127.0.0.1:0"))
	_ = p.Hear() // "uid:0", or "anonymous" if we hung up before it asked
	p.Expect(`"" <nil>`)

	rules, err := policy.New([]policy.Rule{{Who: []string{"uid:12345"}, May: []auth.Action{auth.Connect}, On: []string{"endpoint:tcp://**"}}}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := listen(t.Context(), "tcp://127.0.0.1:0", transport.ListenConfig{Authorizer: rules})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p = start(l)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := l.AcceptConn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if id := c.Peer(); id.Method != auth.SockDiag || !id.HasUID || id.UID != uid {
		t.Errorf("the stranger is %+v", id)
	}
	if _, err := c.Write([]byte("welcome")); err != nil {
		t.Fatal(err)
	}
	p.Expect("uid:0")
	_ = c.Close()
	p.Expect(`"welcome" <nil>`)
}

// TestInsecureNetwork: beyond loopback nobody is known, so that the default
// policy lets nobody in. It plays in a network namespace of its own.
func TestInsecureNetwork(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	p := proctest.StartWith(t, proctest.Options{Role: "network", Prefix: []string{"unshare", "--net"}})
	p.Expect("without a rule: the end")
	p.Expect("with one: anonymous and anonymous")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func networkRole(p *proctest.Self) error {
	const host = "192.0.2.1"
	if err := giveAddress(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	l, err := listen(ctx, "tcp://"+host+":0?insecure=true", transport.ListenConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	c, err := dial(ctx, l.Address().String(), transport.DialConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if n, err := c.Read(make([]byte, 1)); n == 0 && err != nil {
		p.Say("without a rule: the end")
	}

	rules, err := policy.New([]policy.Rule{{Who: []string{"anonymous"}, May: []auth.Action{auth.Connect}, On: []string{"*"}}}, policy.Options{})
	if err != nil {
		return err
	}
	open, err := listen(ctx, "tcp://"+host+":0?insecure=true", transport.ListenConfig{Authorizer: rules})
	if err != nil {
		return err
	}
	defer func() { _ = open.Close() }()
	d, err := dial(ctx, open.Address().String(), transport.DialConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	a, err := open.AcceptConn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	p.Say("with one: " + d.Peer().String() + " and " + a.Peer().String())
	return nil
}

// giveAddress puts 192.0.2.1 on the namespace's only interface and brings it
// up.
func giveAddress() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	address, err := unix.NewIfreq("lo:1")
	if err != nil {
		return err
	}
	if err := address.SetInet4Addr([]byte{192, 0, 2, 1}); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, address); err != nil {
		return err
	}
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up)
}
