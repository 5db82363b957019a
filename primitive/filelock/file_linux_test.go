// SPDX-License-Identifier: Apache-2.0

package filelock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// owner PATH takes the lock file and holds it until it is killed.
func owner(p *proctest.Self) error {
	f, err := AcquireFile(context.Background(), p.Args[0], FileConfig{Note: "for the test"})
	if err != nil {
		return err
	}
	p.Say("held")
	_, _ = p.Hear()
	return f.Release()
}

func TestLockFileNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if h, held, err := HolderOf(path); held || err != nil {
		t.Fatalf("no file: %+v, %v", h, err)
	}
	for range 3 {
		p := proctest.Start(t, "owner", path)
		p.Expect("held")
		h, held, err := HolderOf(path)
		if err != nil || !held || h.PID != p.Pid() || h.UID != os.Getuid() || h.Note != "for the test" || h.Since.IsZero() {
			t.Fatalf("%+v, %v, %v", h, held, err)
		}
		_, err = TryFile(path, FileConfig{})
		if !errors.Is(err, fault.InUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d of uid", p.Pid())) {
			t.Fatalf("%v", err)
		}
		got := make(chan error, 1)
		go func() {
			f, err := AcquireFile(context.Background(), path, FileConfig{})
			if err == nil {
				err = f.Release()
			}
			got <- err
		}()
		p.Kill()
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		if h, held, err := HolderOf(path); held || err != nil {
			t.Fatalf("after its release: %+v, %v", h, err)
		}
	}
}

// TestHolderIsNeverTheOneBefore: from the moment that a new holder has the
// file until it has written who it is, nobody is named.
func TestHolderIsNeverTheOneBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	p := proctest.Start(t, "owner", path)
	p.Expect("held")
	p.Kill()
	if text, err := os.ReadFile(path); err != nil || len(text) == 0 {
		t.Fatalf("what the dead wrote is gone: %v", err)
	}
	f, err := openFile(path, unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	try(t, Region(f, writingByte, 2), Exclusive, true)
	if h, held, err := HolderOf(path); !held || err != nil || h != (Holder{}) {
		t.Errorf("%+v, %v, %v", h, held, err)
	}
	if _, err := TryFile(path, FileConfig{}); !errors.Is(err, fault.InUse) {
		t.Error(err)
	}
}

func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	link, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.Symlink("x", link), unix.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe, dir} {
		if _, err := TryFile(path, FileConfig{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := TryFile(filepath.Join(dir, "f"), FileConfig{Note: strings.Repeat("x", maxHolder)}); !errors.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	f, err := TryFile(filepath.Join(dir, "f"), FileConfig{Mode: 0o640})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Release(), f.Release()); err != nil {
		t.Error(err)
	}
}

// TestLayout pins docs/formats/lockfile.md.
func TestLayout(t *testing.T) {
	text, err := ourselves("n")
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"parley_lock", "pid", "uid", "executable", "since", "note"} {
		if _, ok := fields[name]; !ok {
			t.Errorf("no %s in %s", name, text)
		}
	}
	if fields["parley_lock"] != 1.0 || writingByte != 1099511627776 || owningByte != 1099511627777 || maxHolder != 4096 {
		t.Error("the layout has changed: so must its version and its description")
	}
}

func FuzzHolder(f *testing.F) {
	text, err := ourselves("a note")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{\"parley_lock\":1,\"note\":\"\x1b[2J\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseHolder(text)
		if err == nil && (strings.ContainsAny(h.Executable+h.Note, "\x1b\n\x00") || len(text) > maxHolder) {
			t.Errorf("%q: %+v", text, h)
		}
	})
}

func ExampleTryFile() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("filelock-example-file-%d", os.Getpid()))
	f, err := TryFile(path, FileConfig{Note: "nightly run"})
	if err != nil {
		fmt.Println(err) // such as: in use: process 7 of uid 0, /bin/backup (nightly run), holds it since …
		return
	}
	defer func() { _, _ = f.Release(), os.Remove(path) }()
	h, held, _ := HolderOf(path)
	fmt.Println(held, h.PID == os.Getpid(), h.Note)
	// Output: true true nightly run
}
