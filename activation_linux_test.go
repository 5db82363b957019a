// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
)

// roleActivate ADDRESS… does what a service manager's child does between fork
// and exec: only it knows the pid that LISTEN_PID must name. Then it is the
// service.
func roleActivate(p *proctest.Self) error {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		return serveActivated(p)
	}
	n := len(p.Args)
	for fd := 3; fd < 3+n; fd++ { // as they come from dup2: inherited
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	env := append(os.Environ(), "LISTEN_PID="+strconv.Itoa(os.Getpid()), "LISTEN_FDS="+strconv.Itoa(n), proctest.Environ("activate"))
	return syscall.Exec("/proc/self/exe", append([]string{"activated"}, p.Args...), env)
}

// serveActivated answers one peer at each address.
func serveActivated(p *proctest.Self) error {
	for _, address := range p.Args {
		lc, err := listenConfig([]string{clientID}, os.Stderr)
		if err != nil {
			return err
		}
		ln, err := lc.Listen(context.Background(), address)
		if err != nil {
			return err
		}
		c, err := ln.AcceptConn(context.Background())
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c, "%s for %v\n", ln.Address(), c.Peer()); err != nil {
			return err
		}
		if err := errors.Join(c.CloseWrite(), toTheEnd(c), c.Close(), ln.Close()); err != nil {
			return err
		}
	}
	return nil
}

func toTheEnd(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// TestActivatedSockets: a service started with LISTEN_FDS serves the sockets
// that its manager bound, as if it had bound them itself, and leaves them.
func TestActivatedSockets(t *testing.T) {
	dir := shortDir(t)
	t.Setenv("PARLEY_RUNTIME_DIR", dir)
	t.Setenv(tlsEnv, dir)
	makeCertificates(t, dir)
	ports := []string{freePort(t), freePort(t)}
	addresses := []string{"shm://named", "unix://" + dir + "/path.sock", "tcp://127.0.0.1:" + ports[0], "tls://127.0.0.1:" + ports[1]}
	var files []*os.File
	for _, bound := range [][2]string{{"unix", dir + "/named.sock"}, {"unix", dir + "/path.sock"}, {"tcp", "127.0.0.1:" + ports[0]}, {"tcp", "127.0.0.1:" + ports[1]}} {
		files = append(files, listeningFile(t, bound[0], bound[1]))
	}
	// Who comes before the service was started waits in the backlog.
	service := proctest.StartWith(t, proctest.Options{Role: "activate", Args: addresses, ExtraFiles: files})
	for i, address := range addresses {
		d := parley.Dialer{TLS: certificate("client")}
		c, err := d.Dial(t.Context(), address)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		got := make([]byte, 200)
		n, err := c.Read(got)
		if err != nil || !strings.HasPrefix(string(got[:n]), address+" for ") {
			t.Errorf("%s answered %q, %v", address, got[:n], err)
		}
		if i == 0 {
			infos, err := endpoint.List(t.Context(), endpoint.ListOptions{})
			if err != nil || len(infos) != 1 || !infos[0].Live || infos[0].Address != address {
				t.Errorf("listed as %+v, %v", infos, err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := service.Wait(); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"named.sock", "path.sock"} {
		if _, err := os.Lstat(filepath.Join(dir, path)); err != nil {
			t.Errorf("the service removed its manager's socket: %v", err)
		}
	}
}

func listeningFile(t *testing.T, network, address string) *os.File {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = f.Close(), ln.Close() })
	return f
}
