// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// roleFlood PATH N opens N connections to a socket, sends FILES descriptors
// with one byte on each, says nothing more and keeps them.
func roleFlood(p *proctest.Self) error {
	n, err := strconv.Atoi(p.Args[1])
	if err != nil {
		return err
	}
	files := make([]int, 250)
	for i := range files {
		files[i] = 2
	}
	var conns []net.Conn
	for range n {
		c, err := net.Dial("unix", p.Args[0])
		if errors.Is(err, syscall.EAGAIN) { // the backlog is full: that, too, is a flood
			break
		}
		if err != nil {
			return err
		}
		if p.Args[2] == "files" {
			_, _, _ = c.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(files...), nil) // the peer may have hung up
		}
		conns = append(conns, c)
	}
	p.Sayf("holds %d", len(conns))
	_, _ = p.Hear()
	return nil
}

// TestFloodOfAStranger: a thousand silent connections of a user who may not
// connect, and as many that throw descriptors, hold up nobody who may.
func TestFloodOfAStranger(t *testing.T) {
	if !privateRun(t) {
		return
	}
	for _, what := range []string{"silence", "files"} {
		for _, scheme := range []string{"shm", "unix"} {
			address := scheme + "://" + scheme + what
			server := as(t, owner, "server", address)
			server.Expect(address)
			before := descriptors(t, server.Pid())
			flood := as(t, stranger, "flood", shared+"/54321/"+scheme+what+".sock", "1000", what)
			flood.Expect("holds 1000")
			start := time.Now()
			if got := says(t, 0, "dial", strings.Replace(address, "://", "://54321@", 1)); !strings.HasPrefix(got, "ok uid:54321") {
				t.Errorf("%s, %s: root is told %q", scheme, what, got)
			}
			if took := time.Since(start); took > 4*time.Second { // a silent handshake may take 5
				t.Errorf("%s, %s: root was served after %v", scheme, what, took)
			}
			server.Say("peer")
			server.Hear()
			if after := descriptors(t, server.Pid()); after > before+10 {
				t.Errorf("%s, %s: the server went from %d to %d descriptors", scheme, what, before, after)
			}
		}
	}
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestHostileRegistry: what another user lays in its own directory can neither
// stop root from looking at everybody's endpoints nor make its cleaner touch
// what is elsewhere.
func TestHostileRegistry(t *testing.T) {
	if !privateRun(t) {
		return
	}
	server := as(t, owner, "server", "shm://orders")
	server.Expect("shm://orders")
	evil, victim := filepath.Join(shared, "54322"), filepath.Join(shortDir(t), "victim.ep")
	lay := func(name, text string) error { return os.WriteFile(filepath.Join(evil, name), []byte(text), 0o600) }
	entry, err := os.ReadFile(shared + "/54321/orders.ep")
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.Mkdir(evil, 0o711),
		os.WriteFile(victim, entry, 0o600), // a stale entry of root's own
		os.Symlink(victim, evil+"/link.ep"),
		os.Mkdir(evil+"/dir.ep", 0o755),
		syscall.Mkfifo(evil+"/fifo.ep", 0o666),
		syscall.Mkfifo(evil+"/fifo.ref", 0o666),
		syscall.Mknod(evil+"/zero.ep", syscall.S_IFCHR|0o666, 1<<8|5),
		lay("noise.ep", strings.Repeat("parleyEP\x01", 1000)),
		lay("escape.ep", strings.Replace(string(entry), "shm://orders", "shm://\x1b[2Jxxxx"[:12], 1)),
		lay("path.ref", "parley-ref 1\n/proc/self/mem.ep\n"),
		lay("device.ref", "parley-ref 1\n/dev/zero\n"),
		lay("other.ref", "parley-ref 1\n/run/parley/54321/orders.ep\n"),
		lay("long.ref", "parley-ref 1\n/"+strings.Repeat("x/", 5000)+".ep\n"),
		lay("huge.ep", ""), os.Truncate(evil+"/huge.ep", 1<<40),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := chownAll(evil, int(stranger)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	infos, err := endpoint.List(ctx, endpoint.ListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(infos, func(i endpoint.Info) bool { return i.Live && i.Address == "shm://54321@orders" }) {
		t.Errorf("the owner's endpoint is not listed: %+v", infos)
	}
	for _, i := range infos {
		if strings.ContainsRune(i.Address+i.Executable, 0x1b) {
			t.Errorf("a terminal would obey %q", i.Address)
		}
		err := endpoint.Remove(ctx, i)
		if i.Live && !errors.Is(err, fault.InUse) && !errors.Is(err, fault.Denied) { // Denied: on the stranger's word
			t.Errorf("removing %s, which lives: %v", i.File, err)
		}
	}
	for _, path := range []string{victim, shared + "/54321/orders.ep", shared + "/54321/orders.sock"} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("the cleaner went where it must not: %v", err)
		}
	}
	if got := says(t, 0, "dial", "shm://54321@orders"); !strings.HasPrefix(got, "ok") {
		t.Errorf("afterwards the owner answers %s", got)
	}
}

func chownAll(dir string, uid int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	})
}

// TestDialIsBounded: a listener that never accepts, whose backlog is full, or
// that never answers, holds a dialler no longer than its own limits.
func TestDialIsBounded(t *testing.T) {
	dir := shortDir(t)
	silent := dir + "/silent.sock"
	ln, err := net.Listen("unix", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	full := dir + "/full.sock"
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
		err = errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: full}), unix.Listen(fd, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Dial("unix", full) // the one place that there is
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, address := range []string{"shm://" + silent, "shm://" + full, "unix://" + full} {
		for _, d := range []parley.Dialer{{HandshakeTimeout: 50 * time.Millisecond}, {HandshakeTimeout: 50 * time.Millisecond, WaitFor: limit}} {
			start := time.Now()
			_, err := d.Dial(context.Background(), address)
			if !errors.Is(err, fault.Timeout) || !strings.Contains(err.Error(), address) || time.Since(start) > limit/2 {
				t.Errorf("%s: %v after %v; want a time-out", address, err, time.Since(start))
			}
		}
	}
}
