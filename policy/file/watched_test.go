// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy/file"
)

// watching is an open file whose reloads the test can await.
type watching struct {
	*file.Watched
	t       *testing.T
	reloads chan error
	log     *bytes.Buffer // read it only after Close
}

// watch opens path without polling: what is seen came by an event.
func watch(t *testing.T, path string, change ...func(*file.Options)) *watching {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	w := &watching{t: t, reloads: make(chan error, 100), log: &bytes.Buffer{}}
	o := file.Options{
		Logger:   slog.New(slog.NewTextHandler(w.log, nil)),
		Reloaded: func(err error) { w.reloads <- err },
		Settle:   time.Millisecond,
		Poll:     -1,
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	if w.Watched, err = file.Open(path, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// until takes reloads until one leaves the file as the test wants it: a
// reader may meet a file half written.
func (w *watching) until(what string, ok func(error) bool) {
	w.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case err := <-w.reloads:
			if ok(err) {
				return
			}
		case <-deadline:
			w.t.Fatalf("no reload: %s", what)
		}
	}
}

// allowing awaits rules in which strangers may call the method.
func (w *watching) allowing(method string) {
	w.t.Helper()
	w.until("allowing "+method, func(err error) bool { return err == nil && may(w, method) })
}

// replace puts text at path as careful editors do: by renaming over it.
func replace(t testing.TB, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestReloadOnChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, allow("a"))
	w := watch(t, path)
	if !may(w, "a") || may(w, "b") {
		t.Fatal("the first rules are not in force")
	}
	write(t, path, allow("b"))
	w.allowing("b")
	if may(w, "a") {
		t.Error("the old rules are still in force")
	}
	replace(t, path, allow("c"))
	w.allowing("c")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.until("file removed", func(err error) bool { return errors.Is(err, fault.NotFound) })
	if !may(w, "c") {
		t.Error("the rules went with the file")
	}
	write(t, path, allow("d"))
	w.allowing("d")
}

func TestBadFileIsRefusedAndTheOldRulesStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, allow("a"))
	w := watch(t, path)
	replace(t, path, "rules:\n- who: [bob]\n  may: [fly]\n")
	w.until("refused", func(err error) bool { return errors.Is(err, fault.Invalid) })
	if !may(w, "a") {
		t.Error("the old rules are gone")
	}
	if err := w.Reload(); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), path+":2:9: ") {
		t.Errorf("asked again: %v", err)
	}
	replace(t, path, allow("b"))
	w.allowing("b")
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.log.String(), path+":2:9: ") || !strings.Contains(w.log.String(), path+":3:9: ") {
		t.Errorf("the log lacks the places:\n%s", w.log)
	}
	if !may(w, "b") {
		t.Error("closed, it forgot its rules")
	}
	if _, err := file.Open(filepath.Join(t.TempDir(), "none"), file.Options{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("opening nothing: %v", err)
	}
}

// TestReloadOnSymlinkSwap changes the file as the kubelet updates a mounted
// ConfigMap: policy.yaml → ..data/policy.yaml, ..data → ..1, and a new ..data
// is renamed over the old one.
func TestReloadOnSymlinkSwap(t *testing.T) {
	dir := t.TempDir()
	publish := func(version, text string) {
		t.Helper()
		sub := filepath.Join(dir, version)
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(sub, "policy.yaml"), text)
		tmp := filepath.Join(dir, "..data_tmp")
		if err := errors.Join(os.Symlink(version, tmp), os.Rename(tmp, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", allow("a"))
	path := filepath.Join(dir, "policy.yaml")
	if err := os.Symlink(filepath.Join("..data", "policy.yaml"), path); err != nil {
		t.Fatal(err)
	}
	w := watch(t, path)
	for _, v := range []string{"b", "c", "d"} {
		publish(".."+v, allow(v))
		w.allowing(v)
	}
	if err := os.RemoveAll(filepath.Join(dir, "..b")); err != nil {
		t.Fatal(err)
	}
	if !may(w, "d") {
		t.Error("cleaning up an old version changed the rules")
	}
}

// TestReloadOnDirectoryLinkSwap reaches the file through a link to its
// directory, and puts another directory behind the link.
func TestReloadOnDirectoryLinkSwap(t *testing.T) {
	top := t.TempDir()
	link := filepath.Join(top, "current")
	release := func(version, text string) {
		t.Helper()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "policy.yaml"), text)
		if err := errors.Join(os.Symlink(dir, link+".new"), os.Rename(link+".new", link)); err != nil {
			t.Fatal(version, err)
		}
	}
	release("1", allow("a"))
	w := watch(t, filepath.Join(link, "policy.yaml"))
	release("2", allow("b"))
	w.allowing("b")
	replace(t, filepath.Join(link, "policy.yaml"), allow("c"))
	w.allowing("c")
}

// TestReloadBehindALink changes a file elsewhere that path links to, and then
// the link's own target.
func TestReloadBehindALink(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	path, target := filepath.Join(here, "policy.yaml"), filepath.Join(there, "real.yaml")
	write(t, target, allow("a"))
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	w := watch(t, path)
	replace(t, target, allow("b"))
	w.allowing("b")
	other := filepath.Join(t.TempDir(), "other.yaml")
	write(t, other, allow("c"))
	if err := errors.Join(os.Symlink(other, path+".new"), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	w.allowing("c")
	replace(t, other, allow("d"))
	w.allowing("d")
}

// TestReloadAfterTheDirectoryWasReplaced loses the watched directory itself.
func TestReloadAfterTheDirectoryWasReplaced(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "parley")
	path := filepath.Join(dir, "policy.yaml")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, path, allow("a"))
	w := watch(t, path)
	next := filepath.Join(top, "next")
	if err := os.Mkdir(next, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(next, "policy.yaml"), allow("b"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w.until("directory removed", func(err error) bool { return errors.Is(err, fault.NotFound) })
	if err := os.Rename(next, dir); err != nil {
		t.Fatal(err)
	}
	w.allowing("b")
}

// TestPollFindsWhatNoEventTold lets no event lead to a look within the hour.
func TestPollFindsWhatNoEventTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, allow("a"))
	w := watch(t, path, func(o *file.Options) { o.Settle, o.Poll = time.Hour, time.Millisecond })
	write(t, path, allow("b"))
	w.allowing("b")
}

func TestSignalChannel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, allow("a"))
	c := make(chan os.Signal)
	w := watch(t, path, func(o *file.Options) { o.Signal, o.Settle = c, time.Hour })
	write(t, path, allow("b"))
	c <- os.Interrupt
	w.allowing("b")
	close(c)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestAuthorizeDuringReloads asks from many goroutines while two policies
// alternate: each question is decided wholly by one of them. Both allow "x",
// so that no moment without rules can hide.
func TestAuthorizeDuringReloads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	texts := []string{allow("x") + allow("a")[len("rules:\n"):], allow("x") + allow("b")[len("rules:\n"):]}
	write(t, path, texts[0])
	w := watch(t, path)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if p := w.Policy(); !may(w, "x") || may(p, "a") == may(p, "b") {
					t.Error("a moment without the rules")
					return
				}
			}
		})
	}
	for i := range 20 {
		replace(t, path, texts[(i+1)%2])
		w.allowing([]string{"b", "a"}[i%2])
	}
	close(done)
	wg.Wait()
}
