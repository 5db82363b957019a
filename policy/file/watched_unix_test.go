// SPDX-License-Identifier: Apache-2.0

//go:build unix

package file_test

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
)

func TestMain(m *testing.M) {
	proctest.Main(m, map[string]proctest.Role{"reload": reloadRole})
}

// reloadRole keeps Args[0] open until its parent goes, and says what a SIGHUP
// did to it. It neither watches in time nor polls.
func reloadRole(p *proctest.Self) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	reloads := make(chan error, 1)
	w, err := file.Open(p.Args[0], file.Options{
		Signal: hup, Poll: -1, Settle: 1 << 62,
		Reloaded: func(err error) { reloads <- err },
	})
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	p.Say("ready")
	for range 2 {
		switch err := <-reloads; {
		case errors.Is(err, fault.Invalid) && may(w, "b"):
			p.Say("refused, b stays")
		case err == nil && may(w, "b"):
			p.Say("b")
		default:
			p.Say("unexpected")
		}
	}
	if _, err := p.Hear(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func TestSIGHUP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, allow("a"))
	p := proctest.Start(t, "reload", path)
	p.Expect("ready")
	write(t, path, allow("b"))
	p.Signal(syscall.SIGHUP)
	p.Expect("b")
	write(t, path, "rules: 5")
	p.Signal(syscall.SIGHUP)
	p.Expect("refused, b stays")
}

func TestLoadRefusesOtherWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, allow("a"))
	for _, c := range []struct {
		mode os.FileMode
		ok   bool
	}{{0o600, true}, {0o644, true}, {0o664, false}, {0o602, false}, {0o400, true}} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Load(path, policy.Options{}); (err == nil) != c.ok || !c.ok && !errors.Is(err, fault.Invalid) {
			t.Errorf("mode %#o: %v", c.mode, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Log("the owner's half of this test needs root")
		return
	}
	if err := os.Chown(path, 4001, 4001); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Load(path, policy.Options{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a file of uid 4001: %v", err)
	}
}

func TestLoadDoesNotHangOnAFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Load(path, policy.Options{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}
