// SPDX-License-Identifier: Apache-2.0

package exec_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/fdpass"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
	"github.com/parley-ipc/parley/transport/transporttest"
)

// taking is a backend whose children take the socketpair, plain one whose
// children know nothing of it.
var (
	taking = suite("exec", true)
	plain  = suite("execplain", false)
)

func TestSuite(t *testing.T)          { transporttest.Run(t, taking) }
func TestSuiteOverPipes(t *testing.T) { transporttest.Run(t, plain) }

func suite(name string, take bool) transporttest.Backend {
	relayRole := "relay"
	if !take {
		relayRole = "plainrelay"
	}
	return transporttest.Backend{
		Name: name,
		Dial: func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
			a, err := endpoint.Parse(addr)
			if err != nil {
				return nil, err
			}
			c, err := exec.Dial(ctx, a, exec.Config{DialConfig: cfg})
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		Spawned: func(t testing.TB, role string, args ...string) string {
			a := address(t, args...)
			a.Args = append([]string{"env", proctest.Environ(role)}, a.Args...)
			return a.String()
		},
		Stdio: func() (transport.Conn, error) {
			if !take {
				_ = os.Unsetenv(exec.EnvFD)
			}
			return exec.Stdio(context.Background(), transport.DialConfig{})
		},
		Pair: func(t testing.TB) (transport.Conn, transport.Conn) {
			c, far := pair(t, relayRole)
			return c, sock{far.(*net.UnixConn)}
		},
		DialerSees: func(p transporttest.Party) auth.Identity {
			return auth.Identity{Method: auth.Spawned, HasUID: true, UID: p.UID, GID: p.GID, PID: p.PID}
		},
		ListenerSees: func(p transporttest.Party) auth.Identity {
			if take {
				return auth.Identity{Method: auth.Kernel, HasUID: true, UID: p.UID, GID: p.GID, PID: p.PID}
			}
			return auth.Identity{Method: auth.FileOwner, HasUID: true, UID: p.UID, GID: p.GID}
		},
		Files:        take,
		DeathIsError: true,
	}
}

// sock is the socket at the far side of a relay, as a transport.Conn.
type sock struct{ *net.UnixConn }

func (s sock) Peer() auth.Identity { return auth.Self() }

func (s sock) Read(p []byte) (int, error) { return s.UnixConn.Read(p) }

func (s sock) CloseWrite() error {
	_ = s.UnixConn.CloseWrite()
	return nil
}

func (s sock) Close() error {
	if err := s.UnixConn.Close(); fault.KindOf(err) != fault.Closed {
		return err
	}
	return nil
}

func (s sock) ReadFiles(p []byte) (int, []*os.File, error) { return fdpass.Read(s.UnixConn, p) }

func (s sock) WriteFiles(p []byte, files []*os.File) (int, error) {
	return fdpass.Write(s.UnixConn, p, files)
}

// pump copies bytes and files until either side ends.
func pump(to, from transport.FilePasser) {
	buf := make([]byte, 64<<10)
	for {
		n, files, err := from.ReadFiles(buf)
		if n > 0 {
			if _, werr := to.WriteFiles(buf[:n], files); werr != nil {
				err = werr
			}
		}
		for _, f := range files {
			_ = f.Close()
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// pair is a connection to a child whose other end the test holds too.
func pair(t testing.TB, role string) (*exec.Conn, net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "exec") // t.TempDir is too long a path for some names
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ln, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	cfg := in(role)
	cfg.Grace = 200 * time.Millisecond // a relay that is stuck in a write uses it up
	if role == "plainrelay" {
		cfg.HandshakeTimeout = 200 * time.Millisecond // it never answers the offer
	}
	c, err := exec.Dial(t.Context(), address(t, dir+"/s"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c, far
}
