// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/child"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/process"
	"github.com/parley-ipc/parley/transport/shm"
	unixsock "github.com/parley-ipc/parley/transport/unix"
)

func TestTalk(t *testing.T) {
	for _, socket := range []bool{false, true} {
		cfg := config("plugin", "1", "3")
		cfg.Socket, cfg.Protocols = socket, []uint32{4, 3, 1}
		p := start(t, cfg).Process()
		if got := talkTo(t, p).ask("pid"); got != strconv.Itoa(p.PID()) {
			t.Errorf("the child is pid %s, and we think %d", got, p.PID())
		}
		if p.Protocol() != 3 {
			t.Errorf("protocol %d, want 3: our best that it speaks", p.Protocol())
		}
		if id := p.Peer(); id.Method != auth.Spawned || id.UID != uint32(os.Geteuid()) {
			t.Errorf("the child is %v", id)
		}
		switch p.Conn().(type) {
		case *shm.Conn:
			if socket {
				t.Error("shared memory, and the socket was wanted")
			}
		case *unixsock.Conn:
			if !socket {
				t.Error("no shared memory")
			}
		}
	}
}

func TestNoProtocolInCommon(t *testing.T) {
	cfg := config("plugin", "7")
	cfg.Protocols = []uint32{1, 2}
	_, err := child.Start(t.Context(), cfg)
	if !errors.Is(err, fault.Protocol) || !strings.Contains(err.Error(), "no protocol in common") {
		t.Errorf("got %v", err)
	}
}

func TestMuteChildIsGivenUp(t *testing.T) {
	cfg := config("mute")
	cfg.HandshakeTimeout = 50 * time.Millisecond
	if _, err := child.Start(t.Context(), cfg); !errors.Is(err, fault.Timeout) {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(script, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  child.Config
		want fault.Kind
	}{
		"no path":         {child.Config{}, fault.Invalid},
		"no such program": {child.Config{Path: "no-such-program-here"}, fault.NotFound},
		"no such dir":     {child.Config{Path: "true", Dir: filepath.Join(dir, "no")}, fault.NotFound},
		"not a program":   {child.Config{Path: script}, fault.Invalid},
		"ends at once":    {child.Config{Path: "false"}, fault.PeerDied},
		"plain survivor":  {child.Config{Path: "true", Plain: true, Orphan: child.Survive}, fault.Invalid},
		"short sum":       {child.Config{Path: "true", SHA256: []byte("abc")}, fault.Invalid},
		"no such cgroup":  {child.Config{Path: "true", Cgroup: filepath.Join(dir, "group")}, fault.NotFound},
	} {
		if _, err := child.Start(t.Context(), c.cfg); fault.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestEnvironmentIsMinimal(t *testing.T) {
	t.Setenv("SECRET_TOKEN", "hunter2")
	cfg := config("plugin")
	cfg.Env = append(cfg.Env, "GIVEN=yes")
	want := []string{"GIVEN=yes"} // the role takes its own variable away
	for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "PARLEY_RUNTIME_DIR"} {
		t.Setenv(name, "our "+name)
		want = append(want, name+"=our "+name)
	}
	var env []string
	if err := json.Unmarshal([]byte(talkTo(t, start(t, cfg).Process()).ask("env")), &env); err != nil {
		t.Fatal(err)
	}
	slices.Sort(env)
	slices.Sort(want)
	if !slices.Equal(env, want) {
		t.Errorf("the child has %q, want %q", env, want)
	}
	cfg.InheritEnv = true
	if got := talkTo(t, start(t, cfg).Process()).ask("env"); !strings.Contains(got, "SECRET_TOKEN") {
		t.Error("InheritEnv has not passed SECRET_TOKEN on")
	}
}

func TestPrivileges(t *testing.T) {
	cfg := config("plugin")
	cfg.NoNewPrivileges = true
	cfg.Limits = []child.Limit{{Resource: unix.RLIMIT_CORE, Soft: 4096, Hard: 8192}, {Resource: unix.RLIMIT_NOFILE, Soft: 300, Hard: 300}}
	k := talkTo(t, start(t, cfg).Process())
	if got := k.ask("status NoNewPrivs:"); got != "1" {
		t.Errorf("NoNewPrivs is %s", got)
	}
	if got := k.ask("limit Max open files"); got != "300 300 files" {
		t.Errorf("open files: %s", got)
	}
	if got := k.ask("limit Max core file size"); got != "4096 8192 bytes" {
		t.Errorf("core size: %s", got)
	}
	plain := talkTo(t, start(t, config("plugin")).Process())
	if got := plain.ask("status NoNewPrivs:"); got != "0" {
		t.Errorf("without it, NoNewPrivs is %s", got)
	}
}

func TestControlGroup(t *testing.T) {
	g := proctest.CPUGroup(t, 1)
	cfg := config("plugin")
	cfg.Cgroup = g.Dir()
	c := start(t, cfg)
	got := talkTo(t, c.Process()).ask("groups")
	if !strings.Contains(got, "/"+filepath.Base(g.Dir())) {
		t.Errorf("the child is in %s, not in %s", got, g.Dir())
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnotherUser(t *testing.T) {
	uid := uint32(12345)
	cfg := config("plugin")
	cfg.Path = anothers(t, 0o755)
	cfg.UID, cfg.Dir = &uid, "/"
	p := start(t, cfg).Process()
	k := talkTo(t, p)
	if got := k.ask("uid"); got != "12345" || p.Peer().UID != uid {
		t.Errorf("the child is uid %s, and we think %v", got, p.Peer())
	}
	for field, want := range map[string]string{"Uid:": "12345 12345 12345 12345", "Gid:": "12345 12345 12345 12345", "Groups:": ""} {
		if got := k.ask("status " + field); got != want {
			t.Errorf("%s %q, want %q", field, got, want)
		}
	}
	env := k.ask("env")
	for _, name := range []string{"HOME=", "USER=", "LOGNAME=", "XDG_RUNTIME_DIR=", "PARLEY_RUNTIME_DIR="} {
		if strings.Contains(env, `"`+name) {
			t.Errorf("it has our %s: %s", name, env)
		}
	}
}

func TestChecksum(t *testing.T) {
	cfg := config("plugin")
	b, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	cfg.SHA256 = sum[:]
	talkTo(t, start(t, cfg).Process()).ask("pid")
	sum[0]++
	if _, err := child.Start(t.Context(), cfg); !errors.Is(err, fault.Denied) {
		t.Errorf("with a wrong sum: %v, want denied", err)
	}
}

// lines gathers what a child's logger gets.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestOutputIsLogged(t *testing.T) {
	var log, out lines
	cfg := config("probe", "0", "two words")
	cfg.Plain, cfg.Stdin = true, nil
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	c := start(t, cfg)
	within(t, "the end of a plain child", c.Done())
	if c.Err() != nil {
		t.Errorf("it ended with %v", c.Err())
	}
	for _, want := range []string{`stream=stdout line="out 0 two words"`, `stream=stderr line=err`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
	cfg.Stdout = &out
	within(t, "the end of another", start(t, cfg).Done())
	if out.String() != "out 0 two words\n" {
		t.Errorf("Stdout got %q", out.String())
	}
}

func TestRestart(t *testing.T) {
	for _, c := range []struct {
		restart child.Restart
		code    string
		again   bool
	}{
		{child.Never, "3", false}, {child.OnFailure, "0", false},
		{child.OnFailure, "3", true}, {child.Always, "0", true},
	} {
		cfg := config("plugin")
		cfg.Restart, cfg.FirstPause = c.restart, time.Millisecond
		k := start(t, cfg)
		first := k.Process()
		talkTo(t, first).tell("exit " + c.code)
		within(t, "the end of the first", first.Done())
		var exit *child.ExitError
		if c.code == "3" && (!errors.As(first.Err(), &exit) || exit.ExitCode() != 3) {
			t.Errorf("%+v: the first ended with %v", c, first.Err())
		}
		if !c.again {
			within(t, "the end", k.Done())
			if (k.Err() == nil) != (c.code == "0") {
				t.Errorf("%+v: over with %v", c, k.Err())
			}
			if _, err := k.Await(t.Context()); err == nil {
				t.Errorf("%+v: Await has found one", c)
			}
			continue
		}
		second, err := k.Await(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := talkTo(t, second).ask("pid"); got != strconv.Itoa(second.PID()) {
			t.Errorf("%+v: the second says %s", c, got)
		}
		if _, n := k.State(); n != 1 {
			t.Errorf("%+v: %d restarts", c, n)
		}
	}
}

func TestTooManyRestarts(t *testing.T) {
	cfg := config("probe", "1")
	cfg.Plain, cfg.Restart, cfg.MaxPerMinute = true, child.OnFailure, 3
	cfg.FirstPause, cfg.MaxPause = time.Millisecond, time.Hour // it never lives long
	c := start(t, cfg)
	within(t, "giving up", c.Done())
	if _, n := c.State(); n != 3 || !errors.Is(c.Err(), fault.Exhausted) {
		t.Errorf("%d restarts, %v", n, c.Err())
	}
}

func alive(t *testing.T, pid int) bool {
	t.Helper()
	p, err := process.Open(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Close() }()
	return p.Alive()
}

// gone waits for the end of a process that is nobody's zombie.
func gone(t *testing.T, pid int) {
	t.Helper()
	p, err := process.Open(pid)
	if err != nil {
		return
	}
	defer func() { _ = p.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Errorf("pid %d lives on: %v", pid, err)
	}
}

func TestStopKillsTheStubbornAndTheirChildren(t *testing.T) {
	cfg := config("deaf")
	cfg.Grace = 50 * time.Millisecond
	c := start(t, cfg)
	k := talkTo(t, c.Process())
	grandchild, err := strconv.Atoi(k.ask("fork"))
	if err != nil {
		t.Fatal(err)
	}
	if !alive(t, grandchild) {
		t.Fatal("there is no grandchild")
	}
	pid := c.Process().PID()
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if alive(t, pid) {
		t.Error("the child lives")
	}
	gone(t, grandchild)
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestReplace(t *testing.T) {
	cfg := config("plugin")
	drained := make(chan int, 1)
	cfg.Drain = func(_ context.Context, p *child.Process) error {
		drained <- p.PID()
		return nil
	}
	c := start(t, cfg)
	old := c.Process()
	bad := config("probe", "1")
	if err := c.Replace(t.Context(), bad); err == nil {
		t.Error("a program that is no plugin has replaced one")
	}
	talkTo(t, old).ask("pid") // goes on
	if err := c.Replace(t.Context(), config("plugin")); err != nil {
		t.Fatal(err)
	}
	if now := c.Process(); now == old || talkTo(t, now).ask("pid") != strconv.Itoa(now.PID()) {
		t.Error("the new one is not the current one")
	}
	if pid := <-drained; pid != old.PID() {
		t.Errorf("pid %d was drained, not %d", pid, old.PID())
	}
	within(t, "the end of the old one", old.Done())
}

// One of ours dies, and by the kernel's death signal one that knows nothing of
// its parent.
func TestOrphanDies(t *testing.T) {
	for _, kind := range []string{"die", "plain"} {
		t.Run(kind, func(t *testing.T) {
			h := proctest.Start(t, "host", kind, "orphan")
			pid := pidOf(t, h.Hear())
			h.Kill()
			gone(t, pid)
		})
	}
}

func TestSurvivorIsFoundAgain(t *testing.T) {
	h := proctest.Start(t, "host", "survive", "keeper")
	pid := pidOf(t, h.Hear())
	h.Kill()
	if !alive(t, pid) {
		t.Fatal("the child died with its parent")
	}
	again := proctest.Start(t, "host", "survive", "keeper")
	if got := again.Hear(); got != strconv.Itoa(pid)+" true" {
		t.Errorf("the next parent found %s, not pid %d", got, pid)
	}
	again.Done()
	if err := again.Wait(); err != nil {
		t.Error(err)
	}
	gone(t, pid)
}

// Who has the name and runs another program is not ours.
func TestStrangerAtTheName(t *testing.T) {
	h := proctest.Start(t, "host", "survive", "taken")
	pid := pidOf(t, h.Hear())
	h.Kill()
	cfg := child.Config{Path: "sleep", Args: []string{"600"}, Name: "taken", Orphan: child.Survive}
	if _, err := child.Start(t.Context(), cfg); !errors.Is(err, fault.InUse) {
		t.Errorf("got %v, want in use", err)
	}
	if !alive(t, pid) {
		t.Error("the stranger was killed")
	}
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Signal(unix.SIGKILL), p.Close()); err != nil {
		t.Error(err)
	}
	gone(t, pid)
}

func pidOf(t *testing.T, line string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.Fields(line)[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestNoParent(t *testing.T) {
	for _, v := range []string{"", "3", "x,y", "1,2", "77,12"} {
		t.Setenv(child.EnvFD, v)
		if _, _, err := child.Connect(t.Context(), child.ListenConfig{}); !errors.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", v, err)
		}
	}
}
