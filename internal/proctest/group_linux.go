// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Group is a control group of the test's own, of version 1 or 2, with one
// controller. It is removed when the test ends, after the children in it.
type Group struct {
	t   testing.TB
	dir string // immutable
	v2  bool   // immutable
}

// MemoryGroup makes a group that may use limit bytes.
func MemoryGroup(t testing.TB, limit int64) *Group {
	t.Helper()
	g := newGroup(t, "memory")
	g.set("memory.limit_in_bytes", "memory.max", strconv.FormatInt(limit, 10))
	return g
}

// CPUGroup makes a group that may use as many processors on average.
func CPUGroup(t testing.TB, cpus float64) *Group {
	t.Helper()
	g := newGroup(t, "cpu")
	g.SetCPUs(cpus)
	return g
}

// SetCPUs changes a CPUGroup's quota.
func (g *Group) SetCPUs(cpus float64) {
	g.t.Helper()
	const period = 100_000 // microseconds; the kernel's default
	quota := strconv.Itoa(int(cpus * period))
	g.set("cpu.cfs_quota_us", "cpu.max", quota)
}

// Dir is the group's directory.
func (g *Group) Dir() string { return g.dir }

// Prefix is what starts a child in the group: the child is in it before its
// program begins.
func (g *Group) Prefix() []string {
	return []string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs")}
}

// Killed is how many processes of a MemoryGroup the kernel has killed for want
// of memory.
func (g *Group) Killed() int {
	g.t.Helper()
	stat, err := os.ReadFile(filepath.Join(g.dir, g.name("memory.oom_control", "memory.events")))
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(string(stat)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			killed, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				g.t.Fatal(err)
			}
			return killed
		}
	}
	g.t.Fatalf("no oom_kill in %q", stat)
	return 0
}

func (g *Group) name(v1, v2 string) string {
	if g.v2 {
		return v2
	}
	return v1
}

func (g *Group) set(v1, v2, value string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, g.name(v1, v2)), []byte(value), 0); err != nil {
		g.t.Fatal(err)
	}
}

// newGroup skips the test where no group with the controller can be made.
func newGroup(t testing.TB, controller string) *Group {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a control group")
	}
	g, err := makeGroup(controller)
	if err != nil {
		t.Skipf("needs a writable control group hierarchy with the controller %s: %v", controller, err)
	}
	g.t = t
	t.Cleanup(g.remove)
	return g
}

func makeGroup(controller string) (*Group, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	err = errors.New("none is mounted")
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 {
			continue
		}
		v2 := right[0] == "cgroup2"
		if !v2 && (right[0] != "cgroup" || !slices.Contains(strings.Split(right[2], ","), controller)) {
			continue
		}
		var dir string
		if dir, err = makeIn(left[4], controller, v2); err == nil {
			return &Group{dir: dir, v2: v2}, nil
		}
	}
	return nil, err
}

func makeIn(mount, controller string, v2 bool) (string, error) {
	if v2 {
		if err := offer(mount, controller); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(mount, "parley-test-") //nolint:usetesting // its place is in the hierarchy
}

// offer sees to it that groups below mount have the controller.
func offer(mount, controller string) error {
	path := filepath.Join(mount, "cgroup.subtree_control")
	has, err := os.ReadFile(path)
	if err != nil || slices.Contains(strings.Fields(string(has)), controller) {
		return err
	}
	return os.WriteFile(path, []byte("+"+controller), 0)
}

// remove waits a moment for the kernel, which may still count a child that has
// been reaped.
func (g *Group) remove() {
	var err error
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); {
		if err = os.Remove(g.dir); err == nil || os.IsNotExist(err) {
			return
		}
		<-time.After(time.Millisecond)
	}
	g.t.Error(fmt.Errorf("the control group stays: %w", err))
}
