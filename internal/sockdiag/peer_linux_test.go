// SPDX-License-Identifier: Apache-2.0

package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.Main(m, map[string]proctest.Role{"dial": dialRole, "listen": listenRole, "elsewhere": elsewhereRole})
}

// dialRole connects to its argument and holds on until it is told to end.
func dialRole(p *proctest.Self) error {
	c, err := net.Dial("tcp", p.Args[0])
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	p.Say("connected")
	_, _ = p.Hear()
	return nil
}

// elsewhereRole asks about a connection that it got as descriptor 3.
func elsewhereRole(p *proctest.Self) error {
	c, err := net.FileConn(os.NewFile(3, "connection"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	uid, err := ClientUID(c.(*net.TCPConn))
	p.Say(fmt.Sprint(uid, " ", err))
	return nil
}

// listenRole listens, and accepts when it is told to.
func listenRole(p *proctest.Self) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.Say(ln.Addr().String())
	if _, err := p.Hear(); err != nil {
		return err
	}
	c, err := ln.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	p.Say("accepted")
	_, _ = p.Hear()
	return nil
}

func listenOn(t *testing.T, network, addr string) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.(*net.TCPListener)
}

func connect(t *testing.T, network, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func accept(t *testing.T, ln *net.TCPListener) *net.TCPConn {
	t.Helper()
	c, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func wantUID(t *testing.T, what string, ask func(*net.TCPConn) (uint32, error), c *net.TCPConn, want uint32) {
	t.Helper()
	uid, err := ask(c)
	if err != nil || uid != want {
		t.Errorf("%s: uid %d, %v; want %d", what, uid, err, want)
	}
}

func TestOwnProcess(t *testing.T) {
	me := uint32(os.Geteuid())
	for _, tt := range []struct{ name, listen, at, dial string }{
		{"IPv4", "tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "tcp6", "[::1]:0", "::1"},
		{"v4-mapped", "tcp", "[::]:0", "127.0.0.1"},
		{"another loopback address", "tcp", ":0", "127.1.2.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln := listenOn(t, tt.listen, tt.at)
			c := connect(t, "tcp", net.JoinHostPort(tt.dial, fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)))
			wantUID(t, "server in the accept queue", ServerUID, c, me)
			s := accept(t, ln)
			wantUID(t, "server", ServerUID, c, me)
			wantUID(t, "client", ClientUID, s, me)
		})
	}
}

// TestStranger asks about processes of a uid that is neither ours nor root.
func TestStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to start a process of another uid")
	}
	uid := uint32(12345)
	t.Run("client", func(t *testing.T) {
		ln := listenOn(t, "tcp", "127.0.0.1:0")
		p := proctest.StartWith(t, proctest.Options{Role: "dial", Args: []string{ln.Addr().String()}, UID: &uid, GID: &uid})
		wantUID(t, "client", ClientUID, accept(t, ln), uid)
		p.Expect("connected")
	})
	t.Run("server", func(t *testing.T) {
		p := proctest.StartWith(t, proctest.Options{Role: "listen", UID: &uid, GID: &uid})
		c := connect(t, "tcp", p.Hear())
		wantUID(t, "listener", ServerUID, c, uid)
		p.Say("accept")
		p.Expect("accepted")
		wantUID(t, "accepted", ServerUID, c, uid)
	})
}

// TestClosedPeer: an older kernel calls the owner of a closed socket root.
func TestClosedPeer(t *testing.T) {
	ln := listenOn(t, "tcp", "127.0.0.1:0")
	c := connect(t, "tcp", ln.Addr().String())
	s := accept(t, ln)
	_ = c.Close()
	if uid, err := ClientUID(s); err == nil {
		t.Errorf("the closed client has uid %d", uid)
	}
}

// TestPortTakenOver: somebody else listens where the closed client was.
func TestPortTakenOver(t *testing.T) {
	ln := listenOn(t, "tcp", "127.0.0.1:0")
	reuse := func(_, _ string, raw syscall.RawConn) error {
		var err error
		ctl := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
		return errors.Join(err, ctl)
	}
	d := net.Dialer{Control: reuse, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	c, err := d.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port := c.LocalAddr().String()
	s := accept(t, ln)
	_ = c.Close()
	other, err := (&net.ListenConfig{Control: reuse}).Listen(context.Background(), "tcp", port)
	if err != nil {
		t.Fatalf("taking %s over: %v", port, err)
	}
	defer func() { _ = other.Close() }()
	if uid, err := ClientUID(s); err == nil {
		t.Errorf("the listener on the client's port was taken for the client: uid %d", uid)
	}
}

// TestClosedServer: the client is not told the uid of who listens there now.
func TestClosedServer(t *testing.T) {
	ln := listenOn(t, "tcp", "127.0.0.1:0")
	c := connect(t, "tcp", ln.Addr().String())
	_ = accept(t, ln).Close()
	if uid, err := ServerUID(c); err == nil {
		t.Errorf("the closed server has uid %d", uid)
	}
}

// TestOtherNamespace: a connection of another network namespace is not looked
// up in ours, where the same addresses may be somebody else's.
func TestOtherNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	ln := listenOn(t, "tcp", "127.0.0.1:0")
	connect(t, "tcp", ln.Addr().String())
	f, err := accept(t, ln).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	p := proctest.StartWith(t, proctest.Options{Role: "elsewhere", Prefix: []string{"unshare", "--net"}, ExtraFiles: []*os.File{f}})
	if said := p.Hear(); !strings.Contains(said, "not in this network namespace") {
		t.Errorf("asked elsewhere: %s", said)
	}
	p = proctest.StartWith(t, proctest.Options{Role: "elsewhere", ExtraFiles: []*os.File{f}})
	p.Expect(fmt.Sprint(os.Geteuid(), " ", error(nil))) // the same, asked from here
}
