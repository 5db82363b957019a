// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

func list(t testing.TB, n names, o ListOptions) map[string]Info {
	t.Helper()
	infos, err := n.list(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	byFile := map[string]Info{}
	for _, i := range infos {
		byFile[filepath.Base(i.File)] = i
	}
	return byFile
}

func TestListShowsTheLiving(t *testing.T) {
	dir := t.TempDir()
	n := testNames(dir)
	if infos, err := n.list(t.Context(), ListOptions{}); err != nil || len(infos) != 0 {
		t.Errorf("before there is a directory: %v, %v", infos, err)
	}
	abs := filepath.Join(dir, "abs.sock")
	stem := filepath.Join(dir, "pipe")
	for _, address := range []string{"shm://a", "unix://" + abs, "fifo://" + stem, "tcp://127.0.0.1:7000", "tls://[::1]:7000"} {
		c := acquire(t, n, address)
		c.Counters().Accepted.Add(3)
		c.Counters().SafetyTimeouts.Add(9)
		c.keep.out.write()
	}
	got := list(t, n, ListOptions{})
	for file, address := range map[string]string{
		"a.ep": "shm://a", "abs.sock.ep": "unix://" + abs, "pipe.ep": "fifo://" + stem,
		"@tcp-127.0.0.1_7000.ep": "tcp://127.0.0.1:7000", "@tls-___1__7000.ep": "tls://[::1]:7000",
	} {
		i, ok := got[file]
		if !ok || i.Err != nil || !i.Live || i.Address != address || i.PID != os.Getpid() || int(i.UID) != os.Geteuid() {
			t.Errorf("%s: %+v, want %s alive and ours", file, i, address)
		}
		if i.Counters.Accepted != 3 || i.Counters.SafetyTimeouts != 9 {
			t.Errorf("%s: counters %+v", file, i.Counters)
		}
		if err := n.removeStale(t.Context(), i); !errors.Is(err, fault.InUse) {
			t.Errorf("%s: removed while it lives: %v", file, err)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d entries, want 5: %v", len(got), got)
	}
	if i := got["abs.sock.ep"]; i.Path != abs {
		t.Errorf("path %q, want %q", i.Path, abs)
	}
	if i := got["a.ep"]; i.Path != filepath.Join(ownDir(t, n), "a.sock") {
		t.Errorf("path %q", i.Path)
	}
}

func TestRemoveStale(t *testing.T) {
	dir := t.TempDir()
	n := testNames(dir)
	abs := filepath.Join(dir, "abs.sock")
	stem := filepath.Join(dir, "pipe")
	for _, address := range []string{"shm://a", "unix://" + abs, "fifo://" + stem, "tcp://127.0.0.1:7000"} {
		c := acquire(t, n, address)
		switch c.Address().Scheme {
		case FIFO:
			for _, suffix := range fifoSuffixes {
				if err := syscall.Mkfifo(stem+suffix, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		case TCP:
		default:
			_ = bind(t, c).Close()
		}
		abandon(c)
	}
	for file, i := range list(t, n, ListOptions{}) {
		if i.Live || i.Err != nil {
			t.Errorf("%s: live %v, %v", file, i.Live, i.Err)
		}
		for range 2 { // the second time somebody else has done it
			if err := n.removeStale(t.Context(), i); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
	if left := files(t, ownDir(t, n)); len(left) != 1 || left[0] != refLock {
		t.Errorf("left: %q", left)
	}
}

func TestListReportsJunk(t *testing.T) {
	n := testNames(t.TempDir())
	dir := ownDir(t, n)
	e := sampleEntry()
	e.address = "shm://evil\x1b[2J"
	evil := e.encode()
	copy(evil, entryMagic)
	foreign := append([]byte(nil), evil...)
	foreign[offVersion] = 99
	for name, content := range map[string][]byte{
		"junk.ep": []byte("this is not ours, but somebody's"), "half.ep": nil, "evil.ep": evil, "new.ep": foreign,
		"ref-1.ref": []byte("junk"), "ref-2.ref": []byte(refMagic + "/nowhere/x.sock.ep\n"), "other.txt": nil,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.ep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.ep")); err != nil {
		t.Fatal(err)
	}
	got := list(t, n, ListOptions{})
	if len(got) != 8 {
		t.Errorf("%d entries, want 8: %v", len(got), got)
	}
	removable := map[string]bool{"half.ep": true, "evil.ep": true, "x.sock.ep": true}
	for file, i := range got {
		if i.Err == nil || i.Live || i.Address != "" {
			t.Errorf("%s: %+v, want an error and no address", file, i)
		}
		if err := n.removeStale(t.Context(), i); (err == nil) != removable[file] {
			t.Errorf("removing %s: %v, want done: %v", file, err, removable[file])
		}
	}
	if k := fault.KindOf(got["new.ep"].Err); k != fault.Unsupported {
		t.Errorf("a foreign version is %v", k)
	}
	if _, err := os.Lstat(filepath.Join(dir, "ref-2.ref")); err != nil {
		// refName("/nowhere/x.sock.ep") differs, so only a reference of the right name is dropped
		t.Errorf("a reference under a wrong name: %v", err)
	}
}

func TestRemoveLeavesWhatAnswers(t *testing.T) {
	n := testNames(t.TempDir())
	c := acquire(t, n, "shm://a")
	ln := bind(t, c)
	abandon(c) // the socket is still served, by somebody outside the registry
	if err := n.removeStale(t.Context(), list(t, n, ListOptions{})["a.ep"]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(c.Path()); err != nil {
		t.Errorf("the socket that answers has gone: %v", err)
	}
	if _, err := os.Lstat(c.keep.place.entry); err == nil {
		t.Error("the dead owner's entry is still there")
	}
	if _, err := n.acquire(t.Context(), c.Address(), false); !errors.Is(err, fault.InUse) {
		t.Errorf("claimed a name at which a stranger answers: %v", err)
	}
	_ = ln.Close()
}

func TestListRespectsContext(t *testing.T) {
	n := testNames(t.TempDir())
	acquire(t, n, "shm://a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.list(ctx, ListOptions{}); !errors.Is(err, fault.Canceled) {
		t.Errorf("list with an ended context: %v", err)
	}
}

// TestPathsInTheRuntimeDirectory: one socket has one owner, however spelt.
func TestPathsInTheRuntimeDirectory(t *testing.T) {
	n := testNames(t.TempDir())
	dir := ownDir(t, n)
	c := acquire(t, n, "unix://"+dir+"/a.sock")
	if _, err := n.acquire(t.Context(), mustParse(t, "shm://a"), false); !errors.Is(err, fault.InUse) {
		t.Errorf("the same socket by name: %v", err)
	}
	acquire(t, n, "unix://"+dir+"/odd")
	got := list(t, n, ListOptions{})
	if a, odd := got["a.ep"], got["odd.ep"]; len(got) != 2 || a.Path != c.Path() || odd.Path != dir+"/odd" {
		t.Errorf("listed as %+v", got)
	}
}

func FuzzDecodeRef(f *testing.F) {
	f.Add(refMagic + "/tmp/x.sock.ep\n")
	f.Add("parley-ref 1\n")
	f.Fuzz(func(t *testing.T, s string) {
		entry, err := decodeRef(s)
		if err == nil && (!filepath.IsAbs(entry) || filepath.Ext(entry) != entrySuffix) {
			t.Errorf("decodeRef(%q) = %q", s, entry)
		}
		if err != nil && !errors.Is(err, fault.Protocol) {
			t.Errorf("decodeRef(%q): %v", s, err)
		}
	})
}
