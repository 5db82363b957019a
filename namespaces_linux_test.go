// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/proctest"
)

// apart are namespaces of a process's own, as a container has them: PID 1, its
// own mounts, and of all users only root.
var apart = []string{"--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}

// inside starts a process in namespaces of its own, with dir as its runtime
// directory. It has no identity of its own to the kernel but ours, root's.
func inside(t *testing.T, dir, role string, args ...string) *proctest.Process {
	t.Helper()
	var root uint32
	return proctest.StartWith(t, proctest.Options{
		Role: role, Args: args, UID: &root, GID: &root, Dir: "/", Env: []string{"PARLEY_RUNTIME_DIR=" + dir},
		Prefix: append([]string{"unshare"}, apart...),
	})
}

func outside(t *testing.T, dir, role string, args ...string) *proctest.Process {
	t.Helper()
	return proctest.StartWith(t, proctest.Options{Role: role, Args: args, Env: []string{"PARLEY_RUNTIME_DIR=" + dir}})
}

type starter = func(t *testing.T, dir, role string, args ...string) *proctest.Process

// sides are who listens and who looks.
var sides = []struct {
	name           string
	server, client starter
}{
	{"both in containers", inside, inside},
	{"the server in a container", inside, outside},
	{"the client in a container", outside, inside},
}

// TestContainersConnect: identity, and a kill of either side, between
// processes that share one directory and nothing else.
func TestContainersConnect(t *testing.T) {
	needNamespaces(t, apart...)
	for _, s := range sides {
		for _, address := range []string{"shm://orders", "unix://orders", "shm://DIR/orders.s", "unix://DIR/orders.s"} {
			t.Run(s.name+" "+address, func(t *testing.T) {
				volume := shortDir(t)
				if err := os.Chmod(volume, 0o777); err != nil { // as an emptyDir comes
					t.Fatal(err)
				}
				dir := volume + "/run"
				at := strings.Replace(address, "DIR", volume, 1)
				server := s.server(t, dir, "server", at)
				server.Expect(at)
				client := s.client(t, dir, "dial", at)
				if got := client.Hear(); !strings.HasPrefix(got, "ok uid:0 kernel") || s.name == sides[0].name && got != "ok uid:0 kernel 0" {
					t.Errorf("the client sees %q", got) // the other's number means nothing in another PID namespace
				}
				server.Say("peer")
				if got := server.Hear(); !strings.HasPrefix(got, "uid:0 kernel") {
					t.Errorf("the server sees %q", got)
				}
				killed := s.client(t, dir, "dial", at)
				killed.Hear()
				killed.Kill() // the server goes on
				another := s.client(t, dir, "dial", at)
				if got := another.Hear(); !strings.HasPrefix(got, "ok uid:0") {
					t.Errorf("after a client was killed, the next one sees %q", got)
				}
				client.Say("wait")
				server.Kill()
				client.Expect("ended with an error: true")
				again := s.server(t, dir, "server", at)
				again.Expect(at) // at once, with what the dead one left
			})
		}
	}
}

// TestContainersSeeWhoLives: the registry tells the living from the dead, and
// the cleaner keeps its hands off the living, whoever looks from where.
func TestContainersSeeWhoLives(t *testing.T) {
	needNamespaces(t, apart...)
	for _, s := range sides {
		t.Run(s.name, func(t *testing.T) {
			dir := shortDir(t)
			server := s.server(t, dir, "server", "shm://orders")
			server.Expect("shm://orders")
			list := s.client(t, dir, "list")
			list.Say("ls")
			list.Expect("shm://orders live 0")
			list.Say("gc")
			list.Expect("shm://orders live 0; in use")
			rival := s.client(t, dir, "try", "shm://orders")
			if got := rival.Hear(); !strings.HasPrefix(got, "in use|") || !strings.Contains(got, "of uid 0 has listened on shm://orders") {
				t.Errorf("a rival is told %q", got)
			}
			client := s.client(t, dir, "dial", "shm://orders")
			if got := client.Hear(); !strings.HasPrefix(got, "ok") {
				t.Errorf("after all that the listener answers %q", got)
			}
			server.Kill()
			hearUntil(t, list, "ls", "shm://orders stale 0") // unshare's child dies after unshare
			list.Say("gc")
			list.Expect("shm://orders stale 0; removed")
			list.Say("ls")
			list.Expect("")
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// hearUntil asks until the answer is the one wanted.
func hearUntil(t *testing.T, p *proctest.Process, ask, want string) {
	t.Helper()
	for end := time.Now().Add(limit); ; {
		p.Say(ask)
		got := p.Hear()
		if got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s still answers %q, want %q", ask, got, want)
		}
	}
}

// TestUnmappedUserMatchesNoRule: the uid of a peer that does not exist in the
// listener's user namespace shows as 65534, and is neither that user nor
// anybody else.
func TestUnmappedUserMatchesNoRule(t *testing.T) {
	needNamespaces(t, apart...)
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, scheme := range []string{"shm", "unix"} {
		address := fmt.Sprintf("%s://%s/%d.sock", scheme, dir, i)
		server := inside(t, dir+"/run", "server", address, "*", "anonymous", "uid:65534", "gid:65534")
		server.Expect(address)
		if got := says(t, stranger, "dial", address); strings.HasPrefix(got, "ok") {
			t.Errorf("%s: an unmapped user got in: %s", scheme, got)
		}
		wantLog(t, server, "msg=denied", "who=unmapped", "method=kernel")
		if got := says(t, 0, "dial", address); got != "ok uid:0 kernel "+lastWord(got) {
			t.Errorf("%s: root, which is mapped: %s", scheme, got)
		}
	}
	// The other way round: whom we dial is no uid of ours.
	address := "unix://" + dir + "/theirs.sock"
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	theirs := as(t, stranger, "server", address)
	theirs.Expect(address)
	client := inside(t, dir+"/run", "dial", address)
	if got := client.Hear(); !strings.HasPrefix(got, "ok unmapped kernel") {
		t.Errorf("a client in a user namespace takes a stranger for %q", got)
	}
}

func lastWord(s string) string { return s[strings.LastIndex(s, " ")+1:] }

// shifted starts a process as uid 1000 of a user namespace of its own whose
// uids are those of the host from base on, as with rootless Docker or
// hostUsers: false.
func shifted(t *testing.T, base int, dir, role string, args ...string) *proctest.Process {
	t.Helper()
	maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: base, Size: 65536}}
	holder := exec.Command("sleep", "600") // unshare alone would need newuidmap for this
	holder.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: maps, GidMappings: maps, GidMappingsEnableSetgroups: true,
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = holder.Process.Kill(), holder.Wait() })
	var root uint32
	return proctest.StartWith(t, proctest.Options{
		Role: role, Args: args, UID: &root, GID: &root, Dir: "/", Env: []string{"PARLEY_RUNTIME_DIR=" + dir + "/run" + strconv.Itoa(base)},
		Prefix: []string{"nsenter", "--user", "--target", strconv.Itoa(holder.Process.Pid), "--setuid", "1000", "--setgid", "1000"},
	})
}

// TestShiftedUsers: two user namespaces with one range know each other's uids
// as their own; those with different ranges are nobody to each other, and so
// is the host's root to them.
func TestShiftedUsers(t *testing.T) {
	needNamespaces(t, "--user")
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	address := "shm://" + dir + "/orders.sock"
	server := shifted(t, 100000, dir, "server", address, "*", "anonymous")
	server.Expect(address)
	same := shifted(t, 100000, dir, "dial", address)
	if got := same.Hear(); !strings.HasPrefix(got, "ok uid:1000 kernel ") {
		t.Errorf("the same range: %s", got)
	}
	server.Say("peer")
	if got := server.Hear(); !strings.HasPrefix(got, "uid:1000 kernel ") {
		t.Errorf("the same range is known as %s", got)
	}
	if got := shifted(t, 200000, dir, "dial", address).Hear(); !strings.HasPrefix(got, "denied|") {
		t.Errorf("another range: %s", got)
	}
	if got := says(t, 0, "dial", address); !strings.HasPrefix(got, "denied|") {
		t.Errorf("the host's root: %s", got)
	}
	wantLog(t, server, "who=unmapped")
	host := outside(t, dir+"/host", "server", "unix://"+dir+"/host.sock", "uid:101000")
	host.Expect("unix://" + dir + "/host.sock")
	if got := shifted(t, 100000, dir, "dial", "unix://"+dir+"/host.sock").Hear(); !strings.HasPrefix(got, "ok unmapped") {
		t.Errorf("to the host: %s", got)
	}
	host.Say("peer")
	if got := host.Hear(); !strings.HasPrefix(got, "uid:101000 kernel ") {
		t.Errorf("the host knows it as %s", got)
	}
}
