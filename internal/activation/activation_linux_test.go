// SPDX-License-Identifier: Apache-2.0

package activation

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	if os.Getenv("ACTIVATION_TEST") == "activated" {
		if err := activated(os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	proctest.Main(m, map[string]proctest.Role{"activate": activate})
}

// activate does what a service manager's child does between fork and exec:
// only it knows the pid that LISTEN_PID must name.
func activate(p *proctest.Self) error {
	env := append(os.Environ(), "ACTIVATION_TEST=activated", "LISTEN_PID="+strconv.Itoa(os.Getpid()),
		"LISTEN_FDS=4", "LISTEN_FDNAMES=path:port:datagram:name")
	for fd := 3; fd < 7; fd++ { // as they come from dup2: inherited
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	return syscall.Exec("/proc/self/exe", append([]string{"activated"}, p.Args...), env)
}

// activated PATH PORT takes its sockets over and answers on each.
func activated(args []string) error {
	s := Process()
	for fd := 3; fd < 7; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			return fmt.Errorf("descriptor %d: flags %x, %w", fd, flags, err)
		}
	}
	for _, text := range []string{"unix://" + args[0], "tcp://127.0.0.1:" + args[1], "shm://named"} {
		addr, err := endpoint.Parse(text)
		if err != nil {
			return err
		}
		ln, found, err := s.Find(addr)
		if err != nil || !found {
			return fmt.Errorf("%s: found %v, %w", text, found, err)
		}
		if _, again, err := Process().Find(addr); again || err != nil {
			return fmt.Errorf("%s is handed out twice: %w", text, err)
		}
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		if _, err := c.Write([]byte(text)); err != nil {
			return err
		}
		if err := errors.Join(c.Close(), ln.Close()); err != nil {
			return err
		}
	}
	if os.Getenv("LISTEN_FDS") != "4" {
		return errors.New("the environment was changed")
	}
	return nil
}

func TestActivatedProcess(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(dir, "run"))
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	byPath := listenFile(t, "unix", filepath.Join(dir, "x.sock"))
	byPort := listenFile(t, "tcp", "127.0.0.1:0")
	byName := listenFile(t, "unix", filepath.Join(dir, "run", "named.sock"))
	gram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "g"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gram.Close() }()
	gramFile, err := gram.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gramFile.Close() }()
	port := strconv.Itoa(byPort.addr.(*net.TCPAddr).Port)
	p := proctest.StartWith(t, proctest.Options{
		Role: "activate", Args: []string{byPath.addr.String(), port},
		ExtraFiles: []*os.File{byPath.file, byPort.file, gramFile, byName.file},
	})
	for _, ln := range []passed{byPath, byPort, byName} {
		c, err := net.Dial(ln.addr.Network(), ln.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 200)
		if n, err := c.Read(buf); err != nil {
			t.Errorf("%v: read %q, %v", ln.addr, buf[:n], err)
		}
		_ = c.Close()
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(byPath.addr.String()); err != nil {
		t.Errorf("the child removed the manager's socket: %v", err)
	}
}

type passed struct {
	addr net.Addr
	file *os.File
}

func listenFile(t *testing.T, network, address string) passed {
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
	return passed{ln.Addr(), f}
}

func TestEnvironmentOfSomebodyElse(t *testing.T) {
	addr := endpoint.Address{Scheme: endpoint.TCP, Host: "127.0.0.1:1"}
	for name, c := range map[string]struct {
		env  map[string]string
		kind fault.Kind
	}{
		"nothing":     {nil, 0},
		"another pid": {map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "x"}, 0},
		"junk":        {map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "x"}, fault.Invalid},
		"negative":    {map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "-1"}, fault.Invalid},
		"too many":    {map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "999999999"}, fault.Invalid},
	} {
		_, found, err := fromEnviron(func(k string) string { return c.env[k] }, 42).Find(addr)
		if found || (c.kind == 0) != (err == nil) || err != nil && !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

func TestMatchHost(t *testing.T) {
	at := func(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	for _, row := range []struct {
		host string
		addr net.Addr
		want bool
	}{
		{"127.0.0.1:80", at("127.0.0.1", 80), true},
		{"127.0.0.1:80", at("127.0.0.1", 81), false},
		{"127.0.0.1:80", at("0.0.0.0", 80), false},
		{":80", at("::", 80), true},
		{":80", at("127.0.0.1", 80), false},
		{"0.0.0.0:80", at("0.0.0.0", 80), true},
		{"localhost:80", at("::1", 80), true},
		{"[::1]:80", at("::1", 80), true},
		{"example.org:80", at("127.0.0.1", 80), false},
		{"127.0.0.1:80", &net.UnixAddr{Name: "/x"}, false},
	} {
		if got := matchHost(row.host)(row.addr); got != row.want {
			t.Errorf("%s for %v: %v", row.host, row.addr, got)
		}
	}
}
