// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

const stranger = 54321 // a uid that nothing else here uses

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts processes of another uid, or in other namespaces")
	}
}

// publicDir is a directory that every user reaches.
func publicDir(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pub") //nolint:usetesting // only we can enter the one that t.TempDir makes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func as(t *testing.T, uid uint32, role string, args ...string) *proctest.Process {
	t.Helper()
	return proctest.StartWith(t, proctest.Options{Role: role, Args: args, UID: &uid, GID: &uid, Dir: "/"})
}

func TestAnotherUsersName(t *testing.T) {
	needRoot(t)
	base := publicDir(t, 0o777|os.ModeSticky)
	n := namesAt("shared:" + base)
	owner := as(t, stranger, "own", "shared:"+base, "shm://orders")
	owner.Expect("ready")
	dir := filepath.Join(base, "54321")
	if path, err := n.dialPath(mustParse(t, "shm://54321@orders")); err != nil || path != filepath.Join(dir, "orders.sock") {
		t.Errorf("dialPath = %q, %v", path, err)
	}
	for path, want := range map[string]os.FileMode{
		dir: os.ModeDir | 0o711, filepath.Join(dir, "orders.sock"): os.ModeSocket | 0o666, filepath.Join(dir, "orders.ep"): 0o600,
	} {
		if st, err := os.Lstat(path); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", path, st.Mode(), err, want)
		}
	}
	i := list(t, n, ListOptions{All: true})["orders.ep"]
	if !i.Live || i.UID != stranger || i.Address != "shm://54321@orders" || i.PID != owner.Pid() {
		t.Errorf("listed as %+v", i)
	}
	if j := list(t, n, ListOptions{User: "54321"})["orders.ep"]; j.Address != i.Address {
		t.Errorf("listed by user as %+v", j)
	}
	if err := n.removeStale(t.Context(), i); !errors.Is(err, fault.InUse) {
		t.Errorf("removed while it lives: %v", err)
	}
	// A third uid can neither open the entry nor, so, lock it.
	as(t, stranger+1, "peek", filepath.Join(dir, "orders.ep")).Expect("refused")
}

func TestForeignRuntimeDirectoryIsRefused(t *testing.T) {
	needRoot(t)
	base := publicDir(t, 0o777|os.ModeSticky)
	for _, dir := range []string{"54321", "parley-54321"} { // laid by root for uid 54321 to fall into
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, spec := range []string{"shared:" + base, "private:" + base} {
		got := as(t, stranger, "try", spec, "shm://x").Hear()
		if !strings.HasPrefix(got, "denied|") || !strings.Contains(got, "belongs to uid 0") || !strings.Contains(got, "PARLEY_RUNTIME_DIR") {
			t.Errorf("%s: %s", spec, got)
		}
	}
	if _, err := namesAt("shared:" + base).dialPath(mustParse(t, "shm://54321@x")); !errors.Is(err, fault.Denied) {
		t.Errorf("dialling into a foreign directory: %v", err)
	}
}

func TestAnotherUsersPath(t *testing.T) {
	needRoot(t)
	base := publicDir(t, 0o777)
	path := filepath.Join(base, "x.sock")
	c, err := take(namesAt("private:"+t.TempDir()), "unix://"+path)
	if err != nil {
		t.Fatal(err)
	}
	abandon(c) // root's, and dead: but a user cannot know
	got := as(t, stranger, "try", "private:"+base, "unix://"+path).Hear()
	if !strings.HasPrefix(got, "denied|") || !strings.Contains(got, "belongs to uid 0") {
		t.Errorf("a user at root's entry: %s", got)
	}
	if err := os.Remove(path + entrySuffix); err != nil {
		t.Fatal(err)
	}
	owner := as(t, stranger, "own", "private:"+base, "unix://"+path)
	owner.Expect("ready")
	n := namesAt("private:" + t.TempDir())
	if _, err := take(n, "unix://"+path); !errors.Is(err, fault.InUse) || !strings.Contains(err.Error(), "uid 54321") {
		t.Errorf("root at a living user's entry: %v", err)
	}
	owner.Kill()
	c, err = take(n, "unix://"+path)
	if err != nil {
		t.Fatalf("root at a dead user's entry: %v", err)
	}
	if !ownFile(c.keep.file) {
		t.Error("root goes on with a file that the user could lock")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestOtherNamespaces: liveness is the kernel's word on a lock, whatever PID,
// mount, user or network namespace the owner lives in.
func TestOtherNamespaces(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	n := namesAt("private:" + dir)
	for _, address := range []string{"shm://inside", "unix://" + dir + "/inside.sock"} {
		p := proctest.StartWith(t, proctest.Options{
			Role: "own", Args: []string{"private:" + dir, address},
			Prefix: []string{"unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"},
		})
		p.Expect("ready")
		i := only(t, n)
		if !i.Live || i.Err != nil || i.Address != address || i.PID != 1 || i.Counters.BytesIn != 4711 {
			t.Errorf("listed as %+v, want alive with pid 1 and 4711 bytes", i)
		}
		if err := n.removeStale(t.Context(), i); !errors.Is(err, fault.InUse) {
			t.Errorf("removed while it lives: %v", err)
		}
		if _, err := take(n, address); !errors.Is(err, fault.InUse) {
			t.Errorf("claimed while it lives: %v", err)
		}
		p.Kill()
		for late := time.Now().Add(10 * time.Second); only(t, n).Live; { // unshare's child dies after unshare
			if time.Now().After(late) {
				t.Fatal("still listed alive")
			}
		}
		if err := n.removeStale(t.Context(), only(t, n)); err != nil {
			t.Error(err)
		}
		if left := list(t, n, ListOptions{}); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func only(t *testing.T, n names) Info {
	t.Helper()
	infos := list(t, n, ListOptions{})
	if len(infos) != 1 {
		t.Fatalf("%d entries, want 1: %v", len(infos), infos)
	}
	for _, i := range infos {
		return i
	}
	return Info{}
}

func TestFullDisk(t *testing.T) {
	needRoot(t)
	p := proctest.StartWith(t, proctest.Options{Role: "full", Args: []string{t.TempDir()}, Prefix: []string{"unshare", "--mount"}})
	if got := p.Hear(); !strings.HasPrefix(got, "exhausted|") || !strings.Contains(got, "free space on") {
		t.Error(got)
	}
	p.Expect("left [] <nil>")
	p.Expect("ok")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	needRoot(t)
	base := publicDir(t, 0o755)
	for _, address := range []string{"unix://" + base + "/x.sock", "shm://x"} {
		got := as(t, stranger, "try", "private:"+base, address).Hear()
		if !strings.HasPrefix(got, "denied|") || !strings.Contains(got, "PARLEY_RUNTIME_DIR") {
			t.Errorf("%s: %s", address, got)
		}
	}
}

// An entry names paths, and anybody may write one: root's clean-up must not
// remove for its owner what that owner could not.
func TestRootRemovesNothingOnAStrangersWord(t *testing.T) {
	needRoot(t)
	base := publicDir(t, 0o777|os.ModeSticky) // as /tmp is
	path := filepath.Join(base, "app")
	owner := as(t, stranger, "own", "private:"+publicDir(t, 0o777), "fifo://"+path)
	owner.Expect("ready")
	owner.Kill()
	refs := publicDir(t, 0o700)
	if err := os.Chown(refs, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range fifoSuffixes { // another program's, root's here
		_ = os.Remove(path + suffix)
		if err := unix.Mkfifo(path+suffix, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info := Info{Scheme: FIFO, UID: stranger, Path: path, File: path + entrySuffix, refDir: refs}
	if err := Remove(t.Context(), info); !errors.Is(err, fault.Denied) {
		t.Errorf("Remove = %v, want fault.Denied", err)
	}
	for _, suffix := range fifoSuffixes {
		if _, err := os.Lstat(path + suffix); err != nil {
			t.Errorf("root removed what the stranger could not: %v", err)
		}
		_ = os.Remove(path + suffix)
	}
	if err := Remove(t.Context(), info); err != nil {
		t.Errorf("Remove of the stranger's own: %v", err)
	}
	if _, err := os.Lstat(path + entrySuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the stranger's own entry stays: %v", err)
	}
}
