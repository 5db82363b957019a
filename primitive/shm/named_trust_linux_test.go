// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/shm"
)

// A segment with a second name, by which somebody may hold it beyond its
// removal, is nobody's.
func TestNamedHardLink(t *testing.T) {
	n := open(t, "linked", shm.NamedConfig{Size: 8})
	second := filepath.Join(filepath.Dir(n.Path()), "second.segment.seg")
	if err := os.Link(n.Path(), second); err != nil {
		t.Fatal(err)
	}
	_ = refused(t, fault.Denied, "second", shm.NamedConfig{})
	_ = refused(t, fault.Denied, "linked", shm.NamedConfig{})
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	_ = open(t, "linked", shm.NamedConfig{})
}

// A file of another user in our directory is not ours to trust.
func TestNamedOfAStranger(t *testing.T) {
	needRoot(t)
	n := open(t, "chowned", shm.NamedConfig{Size: 8})
	if err := os.Chown(n.Path(), stranger, stranger); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chown(n.Path(), os.Getuid(), os.Getgid()) }) // so that it can be removed
	for _, c := range []shm.NamedConfig{{}, {Size: 8}, {ReadOnly: true}} {
		_ = refused(t, fault.Denied, "chowned", c)
	}
}

const patience = time.Minute // for whoever is only slow

// Whoever waits for the lock of a file that is replaced meanwhile gets the new
// one: never two memories of one name.
func TestNamedReplacedWhileWaiting(t *testing.T) {
	other := open(t, "other", shm.NamedConfig{Size: 8})
	other.Bytes()[0] = 7
	path := filepath.Join(filepath.Dir(other.Path()), "moved.segment.seg")
	inInit, leave := make(chan bool), make(chan bool)
	made, opened := make(chan *shm.Named, 1), make(chan *shm.Named, 1)
	get := func(to chan *shm.Named, c shm.NamedConfig) {
		n, err := shm.OpenNamed(t.Context(), "moved", c)
		if err != nil {
			t.Error(err)
		}
		to <- n
	}
	go get(made, shm.NamedConfig{Size: 8, Patience: patience, Init: func([]byte) error {
		close(inInit)
		<-leave
		return nil
	}})
	<-inInit
	go get(opened, shm.NamedConfig{Size: 8, Patience: patience})
	for timesOpen(t, path) < 2 { // until it waits for the lock
		runtime.Gosched()
	}
	if err := os.Rename(other.Path(), path); err != nil {
		t.Fatal(err)
	}
	close(leave)
	old, now := <-made, <-opened
	if now == nil || old == nil {
		t.FailNow()
	}
	defer func() { _, _ = old.Close(), now.Close() }()
	if now.Bytes()[0] != 7 || now.Created() || !now.Current() {
		t.Errorf("it holds %v, created %v, current %v", now.Bytes(), now.Created(), now.Current())
	}
	unlink("moved", "")
}

func timesOpen(t *testing.T, path string) (n int) {
	t.Helper()
	names, err := proctest.OpenFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.TrimSuffix(name, " (deleted)") == path {
			n++
		}
	}
	return n
}
