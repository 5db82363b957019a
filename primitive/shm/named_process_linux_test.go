// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/filelock"
	"github.com/parley-ipc/parley/primitive/shm"
)

// raceRole opens each name it is told, and says whether it made it and what
// Init put there.
func raceRole(p *proctest.Self) error {
	p.Say("ready")
	for {
		name, err := p.Hear()
		if err != nil {
			return nil
		}
		n, err := shm.OpenNamed(context.Background(), name, shm.NamedConfig{Size: 64 << 10, Init: func(b []byte) error {
			for at := 0; at < len(b); at += 4 { // takes a while
				binary.NativeEndian.PutUint32(b[at:], uint32(os.Getpid()))
			}
			return nil
		}})
		if err != nil {
			return err
		}
		first, last := binary.NativeEndian.Uint32(n.Bytes()), binary.NativeEndian.Uint32(n.Bytes()[64<<10-4:])
		p.Sayf("%v %d %d", n.Created(), first, last)
		if err := n.Close(); err != nil {
			return err
		}
	}
}

func TestNamedIsMadeOnce(t *testing.T) {
	ps := make([]*proctest.Process, 4)
	for i := range ps {
		ps[i] = proctest.Start(t, "race")
		ps[i].Expect("ready")
	}
	for round := range 30 {
		name := fmt.Sprintf("race-%d", round)
		t.Cleanup(func() { unlink(name, "") })
		for _, p := range ps {
			p.Say(name)
		}
		makers, maker, saw := 0, 0, map[string]bool{}
		for _, p := range ps {
			var made bool
			var first, last int
			if _, err := fmt.Sscanf(p.Hear(), "%t %d %d", &made, &first, &last); err != nil {
				t.Fatal(err)
			}
			saw[fmt.Sprint(first)], saw[fmt.Sprint(last)] = true, true
			if made {
				makers, maker = makers+1, p.Pid()
			}
		}
		if makers != 1 || len(saw) != 1 || !saw[fmt.Sprint(maker)] {
			t.Fatalf("round %d: %d makers, %d the last; the memory says %v", round, makers, maker, saw)
		}
	}
}

// stuckRole dies, or is stopped, in the middle of Init.
func stuckRole(p *proctest.Self) error {
	_, err := shm.OpenNamed(context.Background(), p.Args[0], shm.NamedConfig{Size: 8, Init: func(b []byte) error {
		copy(b, "halfmade")
		p.Say("in init")
		select {}
	}})
	return err
}

// A maker that dies half-way makes nobody wait, and leaves nothing that
// another is misled by: the next is the maker.
func TestNamedMakerDies(t *testing.T) {
	for round := range 5 {
		p := proctest.Start(t, "stuck", "stuck")
		p.Expect("in init")
		if i, ok := info(t, "stuck"); !ok || i.Stale || !i.Used {
			t.Errorf("while it is made: listed as %+v", i)
		}
		p.Kill()
		i, ok := info(t, "stuck")
		if !ok || !i.Stale {
			t.Errorf("after its maker died: listed as %+v", i)
		}
		switch round {
		case 0:
			_ = refused(t, fault.NotFound, "stuck", shm.NamedConfig{})
			_ = refused(t, fault.NotFound, "stuck", shm.NamedConfig{ReadOnly: true})
		case 1:
			if err := shm.RemoveStale(t.Context(), i); err != nil {
				t.Errorf("RemoveStale: %v", err)
			}
			if _, ok := info(t, "stuck"); ok {
				t.Error("it is still there")
			}
		}
		n := open(t, "stuck", shm.NamedConfig{Size: 8})
		if !n.Created() || string(n.Bytes()) != "\x00\x00\x00\x00\x00\x00\x00\x00" {
			t.Errorf("created %v: %q", n.Created(), n.Bytes())
		}
		if err := shm.RemoveStale(t.Context(), i); round != 1 && !errors.Is(err, fault.InUse) {
			t.Errorf("RemoveStale of what was made anew: %v", err)
		}
		_ = n.Close()
		if err := shm.Unlink(t.Context(), "stuck", shm.NamedConfig{}, false); err != nil {
			t.Error(err)
		}
	}
}

// churnRole opens, uses and removes one name over and over. While two have the
// current one open, they must have the same one: the lock on a byte of it then
// protects a plain counter in a file beside it.
func churnRole(p *proctest.Self) error {
	p.Say("ready")
	if _, err := p.Hear(); err != nil {
		return err
	}
	for range 300 {
		if err := churn(p.Args[0]); err != nil {
			return err
		}
	}
	p.Say("done")
	return nil
}

func churn(counter string) error {
	n, err := shm.OpenNamed(context.Background(), "churn", shm.NamedConfig{Size: 8, Init: func(b []byte) error {
		copy(b, "complete")
		return nil
	}})
	if err != nil {
		return err
	}
	if got := string(n.Bytes()); got != "complete" {
		return fmt.Errorf("opened while it said %q", got)
	}
	lock := filelock.Region(n.File(), shm.LockBase, 1)
	if lock.TryLock(filelock.Exclusive) == nil && n.Current() {
		if err := count(counter); err != nil {
			return err
		}
	}
	if err := errors.Join(lock.Unlock(), n.Close()); err != nil {
		return err
	}
	err = shm.Unlink(context.Background(), "churn", shm.NamedConfig{}, false)
	if errors.Is(err, fault.InUse) || errors.Is(err, fault.NotFound) {
		err = nil
	}
	return err
}

// count fails if somebody else is counting.
func count(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("two hold the same lock: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(path))
}

// The remover against makers and openers: no two ever hold the lock of the
// name, whose file is replaced all the time.
func TestNamedRemoverAgainstMakers(t *testing.T) {
	counter := filepath.Join(t.TempDir(), "counter")
	ps := make([]*proctest.Process, 3)
	for i := range ps {
		ps[i] = proctest.Start(t, "churn", counter)
		ps[i].Expect("ready")
	}
	for _, p := range ps {
		p.Say("go")
	}
	for _, p := range ps {
		p.Expect("done")
	}
}

// holdRole owns a segment until it is killed.
func holdRole(p *proctest.Self) error {
	n, err := shm.OpenNamed(context.Background(), p.Args[0], shm.NamedConfig{Size: 8})
	if err == nil {
		err = n.Owner().TryLock(filelock.Exclusive)
	}
	if err != nil {
		return err
	}
	p.Say("owned")
	_, _ = p.Hear()
	return nil
}

func TestNamedOwnerDies(t *testing.T) {
	p := proctest.Start(t, "hold", "owned")
	p.Expect("owned")
	n := open(t, "owned", shm.NamedConfig{})
	if held, err := n.Owner().HeldElsewhere(); !held || err != nil {
		t.Errorf("while it lives: %v, %v", held, err)
	}
	p.Kill()
	if held, err := n.Owner().HeldElsewhere(); held || err != nil {
		t.Errorf("after its death: %v, %v", held, err)
	}
}
