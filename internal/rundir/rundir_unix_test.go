// SPDX-License-Identifier: Apache-2.0

//go:build unix

package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// world is a file system and environment of a test's own.
type world struct {
	Locator
	root string
	env  map[string]string
}

func newWorld(t *testing.T) world {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := world{root: root, env: map[string]string{}}
	w.Locator = Locator{
		Shared: w.at("run/parley"), Users: w.at("run/user"), Temp: w.at("tmp"),
		Getenv: func(k string) string { return w.env[k] },
	}
	w.mkdir(t, "tmp", 0o777|os.ModeSticky)
	return w
}

func (w world) at(path string) string { return filepath.Join(w.root, path) }

func (w world) mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(w.at(path), 0o700), os.Chmod(w.at(path), mode)); err != nil {
		t.Fatal(err)
	}
}

var me = strconv.Itoa(os.Geteuid())

func TestOrder(t *testing.T) {
	w := newWorld(t)
	want := func(path string, mode os.FileMode, shared bool) {
		t.Helper()
		if d, err := w.Own(); fault.KindOf(err) != fault.NotFound || d.Path != w.at(path) {
			t.Errorf("Own before it exists: %v, %v; want NotFound and %s", d, err, path)
		}
		d, err := w.Ensure()
		if err != nil || d.Path != w.at(path) || d.Shared != shared || int(d.UID) != os.Geteuid() {
			t.Fatalf("Ensure: %+v, %v; want %s", d, err, path)
		}
		if st, err := os.Lstat(d.Path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want %v", path, st.Mode(), err, mode)
		}
		if again, err := w.Own(); err != nil || again != d {
			t.Errorf("Own: %+v, %v; want %+v", again, err, d)
		}
	}
	want("tmp/parley-"+me, 0o700, false)
	w.mkdir(t, "run/user/"+me, 0o700)
	want("run/user/"+me+"/parley", 0o700, false)
	w.mkdir(t, "xdg", 0o700)
	w.env["XDG_RUNTIME_DIR"] = w.at("xdg")
	want("xdg/parley", 0o700, false)
	w.mkdir(t, "run/parley", 0o777|os.ModeSticky)
	want("run/parley/"+me, 0o711, true)
	w.env["PARLEY_RUNTIME_DIR"] = w.at("mine/deep")
	want("mine/deep", 0o700, false)
	if all := w.All(); len(all) != 4 || all[0].Path != w.at("mine/deep") {
		t.Errorf("All: %v", all)
	}
}

func TestOfAnotherIgnoresOurEnvironment(t *testing.T) {
	w := newWorld(t)
	w.env["PARLEY_RUNTIME_DIR"], w.env["XDG_RUNTIME_DIR"] = w.at("mine"), w.at("xdg")
	d, err := w.Of(4242)
	if fault.KindOf(err) != fault.NotFound || d.Path != w.at("tmp/parley-4242") {
		t.Errorf("%+v, %v", d, err)
	}
	w.mkdir(t, "tmp/parley-4242", 0o700) // ours, in the place of theirs
	if _, err := w.Of(4242); !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "belongs to uid "+me+", not to uid 4242") {
		t.Errorf("a directory that is not theirs: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		lay  func(w world, t *testing.T)
		kind fault.Kind
		why  []string
	}{
		"writable by others": {func(w world, t *testing.T) { w.mkdir(t, "d/p", 0o770) }, fault.Denied, []string{"mode is 0770", "chmod go-w"}},
		"a link": {func(w world, t *testing.T) {
			w.mkdir(t, "real", 0o700)
			w.mkdir(t, "d", 0o700)
			w.link(t, "real", "d/p")
		}, fault.Denied, []string{"d/p is a symbolic link", "write "}},
		"a regular file": {func(w world, t *testing.T) { w.mkdir(t, "d", 0o700); w.file(t, "d/p") }, fault.Other, []string{"not a directory"}},
	} {
		w := newWorld(t)
		c.lay(w, t)
		w.env["PARLEY_RUNTIME_DIR"] = w.at("d/p")
		for _, get := range []func() (Dir, error){w.Own, w.Ensure} {
			_, err := get()
			if fault.KindOf(err) != c.kind {
				t.Errorf("%s: %v, want %v", name, err, c.kind)
				continue
			}
			for _, why := range c.why {
				if !strings.Contains(err.Error(), why) {
					t.Errorf("%s: %v lacks %q", name, err, why)
				}
			}
		}
	}
}

func (w world) link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(w.at(to), w.at(at)); err != nil {
		t.Fatal(err)
	}
}

func (w world) file(t *testing.T, at string) {
	t.Helper()
	if err := os.WriteFile(w.at(at), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRelativePathIsRefused(t *testing.T) {
	w := newWorld(t)
	w.env["PARLEY_RUNTIME_DIR"] = "here"
	if _, err := w.Ensure(); !errors.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

func TestSharedBaseWantsItsStickyBit(t *testing.T) {
	w := newWorld(t)
	w.mkdir(t, "run/parley", 0o777)
	if _, err := w.Ensure(); !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "chmod 1777") {
		t.Errorf("%v", err)
	}
}

// TestUnfinishedCreator: whoever made it died before it gave it its mode.
func TestUnfinishedCreator(t *testing.T) {
	w := newWorld(t)
	w.mkdir(t, "run/parley", 0o777|os.ModeSticky)
	w.mkdir(t, "run/parley/"+me, 0o700)
	d, err := w.Ensure()
	if err != nil || d.SocketMode() != 0o666 {
		t.Fatalf("%v, %v", d, err)
	}
	if st, err := os.Lstat(d.Path); err != nil || st.Mode().Perm() != 0o711 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}
