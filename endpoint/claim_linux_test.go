// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// testNames finds names in a private runtime directory under dir.
func testNames(dir string) names { return namesAt("private:" + dir) }

func acquire(t testing.TB, n names, address string) *Claim {
	t.Helper()
	c, err := n.acquire(t.Context(), mustParse(t, address), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func mustParse(t testing.TB, s string) Address {
	t.Helper()
	a, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func bind(t testing.TB, c *Claim) *net.UnixListener {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Path(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestClaimExcludesAndCleansUp(t *testing.T) {
	n := testNames(t.TempDir())
	c := acquire(t, n, "shm://orders")
	ln := bind(t, c)
	c.Counters().Accepted.Add(7)
	for _, again := range []string{"shm://orders", "unix://orders"} {
		_, err := n.acquire(t.Context(), mustParse(t, again), false)
		if !errors.Is(err, fault.InUse) || !strings.Contains(err.Error(), "shm://orders") || !strings.Contains(err.Error(), "pid ") {
			t.Errorf("second claim of %s: %v", again, err)
		}
	}
	path, err := n.dialPath(mustParse(t, "unix://orders"))
	if err != nil || path != c.Path() {
		t.Errorf("dialPath = %q, %v; want %q", path, err, c.Path())
	}
	_ = ln.Close()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if left := files(t, filepath.Dir(c.Path())); len(left) != 0 {
		t.Errorf("Close left %q", left)
	}
	if got := c.Counters().Accepted.Add(1); got != 8 {
		t.Errorf("a late connection counts %d, want 8", got)
	}
	acquire(t, n, "unix://orders")
}

func TestClaimRespectsContext(t *testing.T) {
	n := testNames(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.acquire(ctx, mustParse(t, "shm://late"), false); !errors.Is(err, fault.Canceled) {
		t.Errorf("acquire with an ended context: %v", err)
	}
}

// Whoever is called off while it makes an entry leaves none behind.
func TestCalledOffLeavesNothing(t *testing.T) {
	n := testNames(t.TempDir())
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		c, err := n.acquire(ctx, mustParse(t, fmt.Sprintf("tcp://127.0.0.1:%d", 1000+i)), true)
		if err == nil {
			err = c.Close()
		} else if errors.Is(err, fault.Canceled) {
			err = nil
		}
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	left, err := n.list(t.Context(), ListOptions{})
	if err != nil || len(left) != 0 {
		t.Errorf("%d entries are left, such as %+v (%v)", len(left), left[:min(1, len(left))], err)
	}
}
