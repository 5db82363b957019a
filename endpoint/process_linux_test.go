// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestKilledOwnerIsReplacedAtOnce(t *testing.T) {
	dir := t.TempDir()
	n := namesAt("private:" + dir)
	for _, address := range []string{"shm://a", "unix://b", "unix://" + dir + "/abs.sock", "tcp://127.0.0.1:7001"} {
		for range 5 {
			p := proctest.Start(t, "own", "private:"+dir, address)
			p.Expect("ready")
			if address[:3] != "tcp" {
				_, err := n.acquire(t.Context(), mustParse(t, address), false)
				if want := fmt.Sprintf("pid %d", p.Pid()); !errors.Is(err, fault.InUse) || !strings.Contains(err.Error(), want) {
					t.Fatalf("%s while its owner lives: %v, want InUse by %s", address, err, want)
				}
			}
			p.Kill()
			c, err := n.acquire(t.Context(), mustParse(t, address), false)
			if err != nil {
				t.Fatalf("%s after its owner was killed: %v", address, err)
			}
			if got := c.Counters().BytesIn.Load(); got != 0 {
				t.Errorf("%s starts with the dead owner's count %d", address, got)
			}
			if c.Path() != "" {
				_ = bind(t, c).Close()
			}
			if err := c.Close(); err != nil {
				t.Errorf("%s: Close: %v", address, err)
			}
		}
	}
	if left := strings.Join(files(t, filepath.Join(dir, filepath.Base(ownDir(t, n)))), " "); left != ".refs" {
		t.Errorf("left behind: %s", left)
	}
}

func ownDir(t testing.TB, n names) string {
	t.Helper()
	d, err := n.dirs.Ensure()
	if err != nil {
		t.Fatal(err)
	}
	return d.Path
}

func TestRaceForOneName(t *testing.T) {
	dir := t.TempDir()
	var racers []*proctest.Process
	for range 3 {
		p := proctest.Start(t, "race", "private:"+dir, "shm://prize")
		p.Expect("ready")
		racers = append(racers, p)
	}
	for round := range 200 {
		for _, p := range racers {
			p.Say("go")
		}
		won := 0
		for _, p := range racers {
			switch got := p.Hear(); got {
			case "won":
				won++
			case "lost":
			default:
				t.Fatalf("round %d: %q", round, got)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d winners, want 1", round, won)
		}
		for _, p := range racers {
			p.Say("done")
		}
		for _, p := range racers {
			p.Expect("free")
		}
	}
}

// TestCleanerAgainstCreators is PITFALLS 12: while cleaners remove whatever
// is stale, processes that start over and over lose nothing and never fail.
func TestCleanerAgainstCreators(t *testing.T) {
	const creators, enough = 12, 40
	dir := t.TempDir()
	n := namesAt("private:" + dir)
	var starting []*proctest.Process
	for i := range creators {
		starting = append(starting, proctest.Start(t, "churn", "private:"+dir, fmt.Sprintf("shm://w%d", i)))
	}
	var wg sync.WaitGroup
	var removed atomic.Int64
	late := time.Now().Add(time.Minute)
	for range 2 {
		wg.Go(func() {
			for removed.Load() < enough && time.Now().Before(late) {
				removed.Add(int64(cleanOnce(t, n)))
			}
		})
	}
	wg.Wait()
	if removed.Load() < enough {
		t.Errorf("only %d stale entries were there to remove: the test proves nothing", removed.Load())
	}
	for _, p := range starting {
		p.Say("settle")
	}
	for _, p := range starting {
		p.Expect("live")
	}
	cleanOnce(t, n)
	for file, i := range list(t, n, ListOptions{}) {
		if !i.Live {
			t.Errorf("%s is listed dead", file)
		}
	}
	for _, p := range starting {
		p.Say("end")
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func cleanOnce(t *testing.T, n names) (removed int) {
	infos, err := n.list(t.Context(), ListOptions{})
	if err != nil {
		t.Error(err)
		return 0
	}
	for _, i := range infos {
		err := n.removeStale(t.Context(), i)
		if err != nil && !errors.Is(err, fault.InUse) {
			t.Errorf("removing %s: %v", i.File, err)
		}
		if err == nil && !i.Live {
			removed++
		}
	}
	return removed
}

func TestHalfWrittenEntryIsTakenOver(t *testing.T) {
	n := testNames(t.TempDir())
	dir := ownDir(t, n)
	for name, content := range map[string][]byte{
		"empty": nil, "short": []byte(entryMagic), "zeros": make([]byte, entrySize), "junk": []byte(strings.Repeat("junk", 5000)),
	} {
		path := filepath.Join(dir, name+entrySuffix)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c := acquire(t, n, "shm://"+name)
		if st, err := os.Stat(path); err != nil || st.Size() != entrySize {
			t.Errorf("%s: %v, %v", name, st, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEntryRemovedUnderOurHands: the file that we opened is removed before we
// get its lock. What we own in the end must be the file at the path.
func TestEntryRemovedUnderOurHands(t *testing.T) {
	n := testNames(t.TempDir())
	abandon(acquire(t, n, "tcp://127.0.0.1:7000"))
	p := place{entry: filepath.Join(ownDir(t, n), "@tcp-127.0.0.1_7000.ep")}
	s, err := p.openSlot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	claimed := make(chan *Claim, 1)
	go func() {
		c, err := take(n, "tcp://127.0.0.1:7000")
		if err != nil {
			t.Error(err)
		}
		claimed <- c
	}()
	for late := time.Now().Add(10 * time.Second); timesOpen(t, p.entry) < 2; {
		if time.Now().After(late) {
			t.Fatal("the other side never opened the entry")
		}
	}
	if err := errors.Join(p.removeEntry(s.file), s.close()); err != nil {
		t.Fatal(err)
	}
	c := <-claimed
	if c == nil {
		return
	}
	if !sameFile(c.keep.file, p.entry) {
		t.Error("the claim holds a file that was removed")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func timesOpen(t *testing.T, path string) (times int) {
	t.Helper()
	for _, fd := range files(t, "/proc/self/fd") {
		if to, err := os.Readlink("/proc/self/fd/" + fd); err == nil && to == path {
			times++
		}
	}
	return times
}
