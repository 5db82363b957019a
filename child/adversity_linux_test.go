// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/child"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// soon is a context for what must not last.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// stop ends c within the time that TestMain's machine may take.
func stop(t *testing.T, c *child.Child) {
	t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Stop(context.Background()) }()
	within(t, "Stop", ended)
}

func TestChildThatLeavesItsGroup(t *testing.T) {
	cfg := config("leaver")
	cfg.Grace = 50 * time.Millisecond
	c := start(t, cfg)
	pid := c.Process().PID()
	if group, err := unix.Getpgid(pid); err != nil || group == pid {
		t.Fatalf("it is in group %d: %v", group, err)
	}
	stop(t, c)
	if alive(t, pid) {
		t.Error("it lives")
	}
}

// One that has left the group holds the child's stdout; that keeps nobody.
func TestOutputHeldOpenByAStray(t *testing.T) {
	var out lines
	cfg := config("stray")
	cfg.Plain, cfg.Stdout = true, &out
	c := start(t, cfg)
	within(t, "the end", c.Done())
	pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if c.Err() != nil || !alive(t, pid) {
		t.Errorf("it ended with %v; the stray lives: %v", c.Err(), alive(t, pid))
	}
	_ = unix.Kill(pid, unix.SIGKILL)
	gone(t, pid)
}

// The plugin's parent is a shell, not us.
func TestShellInBetween(t *testing.T) {
	cfg := config("plugin")
	cfg.Path, cfg.Args = "sh", []string{"-c", `"$0"; exit $?`, cfg.Path}
	p := start(t, cfg).Process()
	k := talkTo(t, p)
	for range 50 {
		if k.ask("pid") == strconv.Itoa(p.PID()) {
			t.Fatal("there is no shell")
		}
	}
}

func TestBlockedSignalsAreNotInherited(t *testing.T) {
	h := proctest.StartWith(t, proctest.Options{Role: "host", Args: []string{"mask", "mask"}, Env: []string{envBlock + "=1"}})
	const blocked, none = "0000000800000000", "0000000000000000"
	h.Expect(blocked) // the host
	h.Expect(none)    // its plugin
}

func TestInheritsNoFiles(t *testing.T) {
	mark, err := os.CreateTemp(t.TempDir(), "mark")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mark.Close() }()
	cfg := config("plugin")
	b, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	cfg.SHA256 = sum[:]
	start(t, config("plugin"))
	got := talkTo(t, start(t, cfg).Process()).ask("fds")
	if strings.Contains(got, mark.Name()) || strings.Contains(got, cfg.Path) || strings.Count(got, "pidfd") > 1 { // its own, of us
		t.Errorf("the child has %s", got)
	}
}

// What does not mind its context is left behind.
func TestStuckFunctions(t *testing.T) {
	free := make(chan struct{})
	defer close(free)
	stuck := func(context.Context, *child.Process) error { <-free; return nil }

	cfg := config("plugin")
	cfg.Ready, cfg.ReadyTimeout = stuck, time.Millisecond
	if _, err := child.Start(t.Context(), cfg); !errors.Is(err, fault.Timeout) { // not by a limit of ours
		t.Errorf("a Ready that hangs: %v", err)
	}

	cfg = config("plugin")
	cfg.Live, cfg.LiveEvery, cfg.LiveFailures = stuck, time.Millisecond, 2
	cfg.Restart, cfg.FirstPause = child.OnFailure, time.Hour
	c := start(t, cfg)
	within(t, "the end of one whose Live hangs", firstDone(c, c.Process()))

	cfg = config("plugin")
	cfg.Drain, cfg.Grace = stuck, time.Millisecond
	stop(t, start(t, cfg))
}

// What fails again and again can be replaced at once.
func TestReplaceInAPause(t *testing.T) {
	cfg := config("probe", "1")
	cfg.Plain, cfg.Restart = true, child.OnFailure
	cfg.FirstPause, cfg.MaxPause = time.Hour, time.Hour
	c := start(t, cfg)
	within(t, "the end of the first", firstDone(c, c.Process()))
	if err := c.Replace(soon(t), config("probe", "no number")); err == nil {
		t.Error("replaced by one that does not shake hands")
	}
	if err := c.Replace(soon(t), config("plugin")); err != nil {
		t.Fatal(err)
	}
	p, err := c.Await(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	talkTo(t, p).ask("pid")
	if state, n := c.State(); state != child.Ready || n != 0 {
		t.Errorf("%v after %d restarts", state, n)
	}
}

// again finds a survivor as the next life of this process would.
func again(t *testing.T, cfg child.Config) *child.Child {
	t.Helper()
	c := start(t, cfg)
	if !c.Process().Attached() {
		t.Fatal("the survivor was not found")
	}
	return c
}

func TestSurvivorsGroupIsKilled(t *testing.T) {
	h := proctest.Start(t, "host", "leave", "stubborn")
	member := pidOf(t, h.Hear())
	if err := h.Wait(); err != nil {
		t.Fatal(err)
	}
	cfg := stubbornSurvivor()
	cfg.Name = "stubborn"
	c := again(t, cfg)
	pid := c.Process().PID()
	stop(t, c)
	gone(t, pid)
	gone(t, member)
}

func TestSurvivorWithAnotherSum(t *testing.T) {
	cfg := config("plugin")
	cfg.Name, cfg.Orphan = "summed", child.Survive
	first := start(t, cfg).Process()
	b, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	cfg.SHA256 = sum[:]
	again(t, cfg)
	sum[0]++
	if _, err := child.Start(soon(t), cfg); !errors.Is(err, fault.Denied) {
		t.Errorf("got %v", err)
	}
	if !alive(t, first.PID()) {
		t.Error("the survivor was killed")
	}
}

// anothers copies the test binary to where other users can run it.
func anothers(t *testing.T, mode os.FileMode) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("starting another user's process needs root")
	}
	dir, err := os.MkdirTemp("", "child") //nolint:usetesting // another user cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b, err := os.ReadFile(config("").Path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "plugin")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, b, 0o755), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSurvivorOfAnotherUser(t *testing.T) {
	uid := uint32(12346)
	cfg := config("plugin")
	cfg.Path = anothers(t, 0o755)
	run, err := os.MkdirTemp("", "run") //nolint:usetesting // another user cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	if err := os.Chmod(run, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", run) // where a user without any other has a runtime directory
	cfg.Name, cfg.Orphan, cfg.UID, cfg.Dir = "theirs", child.Survive, &uid, "/"
	pid := start(t, cfg).Process().PID()
	if c := again(t, cfg); c.Process().PID() != pid || c.Process().Peer().UID != uid {
		t.Errorf("found %v, not pid %d", c.Process().Peer(), pid)
	}
}

// A set-uid program loses the death signal, and learns of the death by itself.
func TestOrphanWithPrivilegesEnds(t *testing.T) {
	path := anothers(t, 0o755|os.ModeSetuid)
	gainsPrivileges(t, path)
	uid := uint32(12345)
	h := proctest.StartWith(t, proctest.Options{Role: "host", Args: []string{"die", "privileged", path}, UID: &uid})
	pid := pidOf(t, h.Hear())
	if uids := field(fmt.Sprintf("/proc/%d/status", pid), "Uid:"); uids != "12345 0 0 0" {
		t.Fatalf("it has gained nothing: uids %s", uids)
	}
	h.Kill()
	gone(t, pid)
}

// gainsPrivileges skips where a set-uid bit is not minded.
func gainsPrivileges(t *testing.T, path string) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Flags&unix.ST_NOSUID != 0 {
		t.Skip("needs a temporary directory that is not mounted with nosuid")
	}
	if field("/proc/self/status", "NoNewPrivs:") != "0" {
		t.Skip("needs to run without no-new-privileges")
	}
}

// TestManyAtOnce: all of them, and nothing is left open. CHILD_TEST_MANY says
// how many; 200 by hand.
func TestManyAtOnce(t *testing.T) {
	many := 30
	if n, err := strconv.Atoi(os.Getenv("CHILD_TEST_MANY")); err == nil {
		many = n
	}
	stop(t, start(t, config("plugin"))) // what the first one opens for all
	before := proctest.Descriptors(t)
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			cfg := config("plugin")
			cfg.HandshakeTimeout = time.Minute
			c, err := child.Start(t.Context(), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Process().Conn().Write([]byte("pid\n")); err != nil {
				t.Error(err)
			}
			if err := c.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if after := proctest.Descriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// TestEverythingAtOnce: whatever the order, it ends, and nobody hangs.
func TestEverythingAtOnce(t *testing.T) {
	for range 5 {
		cfg := config("plugin")
		cfg.Restart, cfg.FirstPause, cfg.MaxPerMinute = child.Always, time.Millisecond, -1
		c := start(t, cfg)
		ctx := soon(t)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _ = c.Replace(ctx, cfg) })
			wg.Go(func() { _, _ = c.Await(ctx) })
			wg.Go(func() {
				if p := c.Process(); p != nil {
					_ = p.Signal(unix.SIGKILL)
				}
				c.State()
			})
		}
		wg.Go(func() { _ = c.Stop(ctx) })
		wg.Go(func() { _ = c.Stop(ctx) })
		wg.Wait()
		within(t, "the end", c.Done())
		if ctx.Err() != nil {
			t.Error("something waited until its time was over")
		}
		if c.Process() != nil {
			t.Error("it is over and has a process")
		}
	}
}
