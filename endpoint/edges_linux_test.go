// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

func TestSocketPathLength(t *testing.T) {
	dir, err := os.MkdirTemp("", "l") //nolint:usetesting // the path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := testNames(dir)
	room := MaxSocketPath - len(filepath.Join(ownDir(t, n), "x")) + 1
	for length, ok := range map[int]bool{room - 1: true, room: true, room + 1: false} {
		for address, spare := range map[string]int{
			"shm://" + strings.Repeat("n", length-len(socketSuffix)):             0,
			"unix://" + filepath.Join(ownDir(t, n), strings.Repeat("p", length)): 0,
		} {
			addr := mustParse(t, address)
			c, err := n.acquire(t.Context(), addr, false)
			_, derr := n.dialPath(addr)
			if !ok {
				for _, err := range []error{err, derr} {
					if !errors.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), "108 bytes long, and the limit is 107") || !strings.Contains(err.Error(), "shorter") {
						t.Errorf("%d bytes: %v", length+spare, err)
					}
				}
				continue
			}
			if err != nil || derr != nil {
				t.Fatalf("%d bytes: %v, %v", len(addr.Path), err, derr)
			}
			_ = bind(t, c).Close() // the kernel agrees
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWhatStandsInTheWay(t *testing.T) {
	dir := t.TempDir()
	n := testNames(dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("file"), at("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("file"), at("trap.ep")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("queue.ep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("pipe.c2s"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at("gram"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = datagram.Close() }()
	before := files(t, dir)
	for address, want := range map[string]struct {
		kind fault.Kind
		why  string
	}{
		"unix://" + at("file"):    {fault.InUse, "a regular file"},
		"unix://" + at("dir"):     {fault.InUse, "a directory"},
		"shm://" + at("link"):     {fault.InUse, "a symbolic link"},
		"shm://" + at("trap"):     {fault.Denied, "a symbolic link"},
		"shm://" + at("queue"):    {fault.Other, "a fifo"},
		"fifo://" + at("pipe"):    {fault.InUse, "not a fifo"},
		"unix://" + at("gram"):    {fault.InUse, "datagram"},
		"unix://" + at("no/sock"): {fault.NotFound, "make the directory " + at("no")},
		"shm://4294967294@x":      {fault.Denied, "belongs to uid 4294967294"},
		"shm://no-such-user@x":    {fault.NotFound, "numeric uid"},
	} {
		_, err := n.acquire(t.Context(), mustParse(t, address), false)
		if !errors.Is(err, want.kind) || !strings.Contains(err.Error(), want.why) {
			t.Errorf("%s: %v, want %v and %q", address, err, want.kind, want.why)
		}
	}
	if after := files(t, dir); !sameNames(before, after) {
		t.Errorf("files before: %q, after: %q", before, after)
	}
}

// sameNames allows for our runtime directory, which appears.
func sameNames(before, after []string) bool {
	var rest []string
	for _, name := range after {
		if !strings.HasPrefix(name, "parley-") {
			rest = append(rest, name)
		}
	}
	return strings.Join(before, "/") == strings.Join(rest, "/")
}

func TestFullDescriptorTable(t *testing.T) {
	n := testNames(t.TempDir())
	ownDir(t, n)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(os.DevNull) // the lowest free descriptor
	if err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = uint64(f.Fd())
	_ = f.Close()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	_, err = take(n, "shm://a")
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("with a full descriptor table: %v", err)
	}
}

func TestCloseLeavesWhatIsNotOurs(t *testing.T) {
	n := testNames(t.TempDir())
	c := acquire(t, n, "unix://a")
	ln := bind(t, c)
	if err := c.Bound(); err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	stranger, entry := c.Path()+".new", c.keep.place.entry+".new"
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: stranger, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := errors.Join(os.WriteFile(entry, nil, 0o600), os.Rename(stranger, c.Path()), os.Rename(entry, c.keep.place.entry)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, path := range []string{c.Path(), c.keep.place.entry} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("Close removed a stranger's %s: %v", path, err)
		}
	}
}

func TestAcquireBoundLeavesTheSocket(t *testing.T) {
	n := testNames(t.TempDir())
	path := filepath.Join(ownDir(t, n), "a.sock")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	for _, leave := range []func(*Claim){func(c *Claim) { _ = c.Close() }, abandon} {
		c, err := n.acquire(t.Context(), mustParse(t, "unix://a"), true)
		if err != nil {
			t.Fatal(err)
		}
		leave(c)
	}
	if err := n.removeStale(t.Context(), list(t, n, ListOptions{})["a.ep"]); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the service manager's socket has gone: %v", err)
	}
}

func TestSamePortInManyNamespaces(t *testing.T) {
	n := testNames(t.TempDir())
	for range 3 {
		acquire(t, n, "tcp://127.0.0.1:7000")
	}
	got := list(t, n, ListOptions{})
	for _, file := range []string{"@tcp-127.0.0.1_7000.ep", "@tcp-127.0.0.1_7000+2.ep", "@tcp-127.0.0.1_7000+3.ep"} {
		if i := got[file]; !i.Live || i.Address != "tcp://127.0.0.1:7000" {
			t.Errorf("%s: %+v", file, i)
		}
	}
}

func TestDialPathOfNobody(t *testing.T) {
	n := testNames(t.TempDir())
	for _, address := range []string{"shm://a", "unix://" + strconv.Itoa(os.Geteuid()+7) + "@a"} {
		_, err := n.dialPath(mustParse(t, address))
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nobody listens") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := n.dialPath(mustParse(t, "tcp://h:1")); !errors.Is(err, fault.Invalid) {
		t.Errorf("tcp has no path: %v", err)
	}
	if path, err := n.dialPath(mustParse(t, "fifo:///tmp/x")); err != nil || path != "/tmp/x" {
		t.Errorf("fifo: %q, %v", path, err)
	}
}

func TestMemoryOnlyClaims(t *testing.T) {
	n := testNames(t.TempDir())
	for _, address := range []string{"inproc://a", "stdio:", "exec:true"} {
		c := acquire(t, n, address)
		c.Counters().Accepted.Add(1)
		if c.Path() != "" || c.Close() != nil {
			t.Errorf("%s: %q", address, c.Path())
		}
	}
	if got := list(t, n, ListOptions{}); len(got) != 0 {
		t.Errorf("registered: %v", got)
	}
}
