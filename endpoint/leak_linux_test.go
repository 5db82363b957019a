// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestClaimsLeakNothing(t *testing.T) {
	n := testNames(t.TempDir())
	acquire(t, n, "shm://other")
	fds, maps := len(files(t, "/proc/self/fd")), mappings(t)
	const rounds = 500
	for range rounds {
		c := acquire(t, n, "shm://x")
		c.Counters().Accepted.Add(1)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if now := len(files(t, "/proc/self/fd")); now > fds {
		t.Errorf("%d descriptors before, %d after", fds, now)
	}
	now := mappings(t)
	for _, line := range now {
		if strings.Contains(line, "/x.ep") {
			t.Errorf("still mapped: %s", line)
		}
	}
	if grown := len(now) - len(maps); grown > rounds/10 { // neighbours merge; a few may not
		t.Errorf("%d mappings more after %d claims", grown, rounds)
	}
}

func mappings(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// TestKilledAtAnyInstant kills a process that claims and lets go without
// pause, wherever it happens to be, and takes its name at once.
func TestKilledAtAnyInstant(t *testing.T) {
	const kills, seed = 40, 1
	random := rand.New(rand.NewPCG(seed, seed))
	dir := t.TempDir()
	n := testNames(dir)
	for i := range kills {
		p := proctest.Start(t, "spin", "private:"+dir, "unix://"+dir+"/x.sock")
		p.Expect("spinning")
		for range random.IntN(3_000_000) { // some instant: not a wait for anything
		}
		p.Kill()
		c, err := take(n, "unix://"+dir+"/x.sock")
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if err := errors.Join(bind(t, c).Close(), c.Close()); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		for file, i := range list(t, n, ListOptions{}) { // a reference, at most
			t.Errorf("%s is left: %+v", file, i)
		}
	}
}

// TestStoppedChanger: somebody was stopped while changing the entry. That is
// no reason to wait for ever, nor to disbelieve it.
func TestStoppedChanger(t *testing.T) {
	n := testNames(t.TempDir())
	c := acquire(t, n, "shm://x")
	s, err := c.place.openSlot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := n.acquire(ctx, c.Address(), false); !errors.Is(err, fault.Timeout) {
		t.Errorf("acquire: %v", err)
	}
	if err := n.removeStale(ctx, Info{File: c.place.entry}); !errors.Is(err, fault.Timeout) {
		t.Errorf("remove: %v", err)
	}
	if err := c.Close(); err != nil { // the owner needs nobody's leave
		t.Errorf("close: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
