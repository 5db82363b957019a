// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

const (
	owner    uint32 = 54321 // uids that nothing else here uses
	stranger uint32 = 54322
	third    uint32 = 54323

	privateEnv = "PARLEY_TEST_PRIVATE_RUN"
	shared     = "/run/parley"
)

// privateRun runs the test again in a mount namespace with a /run of its own,
// and reports whether we are in there. So the real /run/parley is tested, with
// real uids, and neither the machine's nor another test's is touched.
func privateRun(t *testing.T) bool {
	t.Helper()
	if os.Getenv(privateEnv) != "" {
		if err := mountRun(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	needNamespaces(t, "--mount")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), privateEnv+"=1", "PARLEY_RUNTIME_DIR=", "XDG_RUNTIME_DIR=", "TMPDIR=/tmp")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

var mountRun = sync.OnceValue(func() error {
	return errors.Join(syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"), os.Mkdir(shared, 0o755), os.Chmod(shared, 0o777|os.ModeSticky))
})

// needNamespaces skips where unshare with these flags is not for us.
func needNamespaces(t *testing.T, flags ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts processes of other uids, in other namespaces")
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", append(flags, "true")...).CombinedOutput(); err != nil {
		t.Skipf("needs namespaces, which this machine does not let us make: %v: %s", err, out)
	}
}

func as(t *testing.T, uid uint32, role string, args ...string) *proctest.Process {
	t.Helper()
	return proctest.StartWith(t, proctest.Options{Role: role, Args: args, UID: &uid, GID: &uid, Dir: "/"})
}

// says is what a process of uid in the role has to say, which then ends.
func says(t *testing.T, uid uint32, role string, args ...string) string {
	t.Helper()
	p := as(t, uid, role, args...)
	line := p.Hear()
	p.Done()
	if err := p.Wait(); err != nil {
		t.Errorf("%s of uid %d: %v", role, uid, err)
	}
	return line
}

func wantLog(t *testing.T, server *proctest.Process, parts ...string) {
	t.Helper()
	server.Say("log")
	log := server.Hear()
	for _, part := range parts {
		if !strings.Contains(log, part) {
			t.Errorf("the listener's log lacks %q:\n%s", part, log)
		}
	}
}

// TestAnotherUserIsDeniedByDefault over every transport on which another user
// can knock; root and the owner itself are let in, and known.
func TestAnotherUserIsDeniedByDefault(t *testing.T) {
	if !privateRun(t) {
		return
	}
	for address, dialled := range map[string]string{
		"shm://orders": "shm://54321@orders", "unix://orders": "unix://54321@orders", "tcp://127.0.0.1:0": "",
	} {
		server := as(t, owner, "server", address)
		if at := server.Hear(); dialled == "" {
			dialled = at
		}
		want, method := "cut|", "kernel"
		switch address[:3] {
		case "shm":
			want = "denied|dial " + dialled
		case "tcp":
			method = "sockdiag"
		}
		if got := says(t, stranger, "dial", dialled); !strings.HasPrefix(got, want) || strings.Contains(got, "rule") {
			t.Errorf("%s: a stranger: %s; want %s… and nothing of rules", address, got, want)
		}
		wantLog(t, server, "msg=denied", "who=uid:54322", "method="+method, "only the owner and root may")
		for _, uid := range []uint32{owner, 0} {
			if got := says(t, uid, "dial", dialled); !strings.HasPrefix(got, "ok uid:54321 "+method) {
				t.Errorf("%s: uid %d: %s", address, uid, got)
			}
			server.Say("peer")
			if got := server.Hear(); !strings.HasPrefix(got, "uid:"+strconv.Itoa(int(uid))+" "+method+" ") {
				t.Errorf("%s: uid %d is known as %s", address, uid, got)
			}
		}
		server.Done()
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestAnotherUserIsAdmittedByARule: by uid, user, primary and supplementary
// group; a deny beats it, and the log says which rule it was.
func TestAnotherUserIsAdmittedByARule(t *testing.T) {
	if !privateRun(t) {
		return
	}
	server := as(t, owner, "server", "shm://orders", "uid:54322", "user:daemon", "gid:54400", "group:nogroup", "!uid:54323")
	server.Expect("shm://orders")
	for _, c := range []struct{ who, uid, gid, groups, want string }{
		{"by uid", "54322", "54322", "54322", "ok"},
		{"by name", "1", "1", "1", "ok"},
		{"by primary group", "54330", "54400", "54330", "ok"},
		{"by supplementary group", "54331", "54331", "7,54400", "ok"},
		{"by the name of a supplementary group", "54332", "54332", "65534", "ok"},
		{"nobody we know", "54333", "54333", "54333", "denied|"},
		{"denied, and in a group that is admitted", "54323", "54400", "65534", "denied|"},
	} {
		var root uint32
		p := proctest.StartWith(t, proctest.Options{
			Role: "dial", Args: []string{"shm://54321@orders"}, UID: &root, GID: &root, Dir: "/",
			Prefix: []string{"setpriv", "--reuid", c.uid, "--regid", c.gid, "--groups", c.groups},
		})
		if got := p.Hear(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.who, got, c.want)
		}
		if c.want == "ok" {
			server.Say("peer")
			if got, want := server.Hear(), "uid:"+c.uid+" kernel "+strconv.Itoa(p.Pid()); got != want {
				t.Errorf("%s: known as %s, want %s", c.who, got, want)
			}
		}
	}
	wantLog(t, server, "who=uid:54333", "no rule allows", "who=uid:54323", "denied by rule 5")
}

// TestSharedRuntimeDirectory: what others may see of it.
func TestSharedRuntimeDirectory(t *testing.T) {
	if !privateRun(t) {
		return
	}
	server := as(t, owner, "server", "shm://orders")
	server.Expect("shm://orders")
	for path, want := range map[string]os.FileMode{
		shared + "/54321":             os.ModeDir | 0o711,
		shared + "/54321/orders.sock": os.ModeSocket | 0o666,
		shared + "/54321/orders.ep":   0o600,
	} {
		if st, err := os.Lstat(path); err != nil || st.Mode() != want || st.Sys().(*syscall.Stat_t).Uid != owner {
			t.Errorf("%s: %v, %v; want %v of uid 54321", path, st.Mode(), err, want)
		}
	}
	if got := says(t, stranger, "try", "shm://54321@orders"); !strings.HasPrefix(got, "denied|") || !strings.Contains(got, "belongs to uid 54321") {
		t.Errorf("a stranger listening on the owner's name: %s", got)
	}
	if got := says(t, stranger, "try", "shm:///run/parley/54321/orders.sock"); !strings.HasPrefix(got, "denied|") {
		t.Errorf("a stranger listening at the owner's path: %s", got)
	}
	if got := says(t, stranger, "dial", "shm://54321@orders"); !strings.HasPrefix(got, "denied|") {
		t.Errorf("the name is still the owner's: %s", got)
	}
}

// TestSquattedRuntimeDirectory: a directory in a user's place that is not its
// own is refused by who would listen there, and by who would dial.
func TestSquattedRuntimeDirectory(t *testing.T) {
	if !privateRun(t) {
		return
	}
	place := filepath.Join(shared, "54321")
	elsewhere := filepath.Join(shared, "elsewhere")
	for name, c := range map[string]struct {
		lay  func() error
		want string
	}{
		"another user's": {func() error {
			return errors.Join(os.Mkdir(place, 0o755), os.Chown(place, int(stranger), int(stranger)))
		}, "belongs to uid 54322, not to uid 54321"},
		"a link to another user's": {func() error {
			return errors.Join(os.Mkdir(elsewhere, 0o755), os.Chown(elsewhere, int(stranger), int(stranger)), os.Symlink(elsewhere, place))
		}, place + " is a symbolic link"},
		"a link to the user's own": {func() error {
			return errors.Join(os.Mkdir(elsewhere, 0o711), os.Chown(elsewhere, int(owner), int(owner)), os.Symlink(elsewhere, place))
		}, place + " is a symbolic link"},
		"one that others may write to": {func() error {
			return errors.Join(os.Mkdir(place, 0o700), os.Chmod(place, 0o777), os.Chown(place, int(owner), int(owner)))
		}, "others may write to it: its mode is 0777"},
		"a parent that lost its sticky bit": {func() error {
			return errors.Join(os.Mkdir(place, 0o711), os.Chown(place, int(owner), int(owner)), os.Chmod(shared, 0o777))
		}, "lacks the sticky bit"},
	} {
		if err := c.lay(); err != nil {
			t.Fatal(err)
		}
		for uid, asked := range map[uint32][]string{owner: {"try", "shm://orders"}, third: {"dial", "shm://54321@orders"}} {
			if got := says(t, uid, asked[0], asked[1]); !strings.HasPrefix(got, "denied|") || !strings.Contains(got, c.want) {
				t.Errorf("%s: %s of uid %d: %s; want denied and %q", name, asked[0], uid, got, c.want)
			}
		}
		if err := errors.Join(os.RemoveAll(place), os.RemoveAll(elsewhere), os.Chmod(shared, 0o777|os.ModeSticky)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSquattedTempDirectory: without /run/parley a name squatted in
// the temp directory is refused as well.
func TestSquattedTempDirectory(t *testing.T) {
	if !privateRun(t) {
		return
	}
	if err := os.Remove(shared); err != nil {
		t.Fatal(err)
	}
	temp := shortDir(t)
	place := filepath.Join(temp, "parley-54321")
	if err := errors.Join(os.Chmod(temp, 0o777|os.ModeSticky), os.Mkdir(place, 0o755), os.Chown(place, int(stranger), int(stranger))); err != nil {
		t.Fatal(err)
	}
	uid := owner
	p := proctest.StartWith(t, proctest.Options{Role: "try", Args: []string{"shm://x"}, UID: &uid, GID: &uid, Dir: "/", Env: []string{"TMPDIR=" + temp}})
	if got := p.Hear(); !strings.HasPrefix(got, "denied|") || !strings.Contains(got, "belongs to uid 54322") || !strings.Contains(got, "PARLEY_RUNTIME_DIR") {
		t.Errorf("%s", got)
	}
	t.Setenv("TMPDIR", temp)
	if _, err := parley.Dial(t.Context(), "shm://54321@x"); !errors.Is(err, fault.Denied) {
		t.Errorf("dialling into it: %v", err)
	}
}
