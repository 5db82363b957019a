// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestInfo(t *testing.T) {
	before := time.Now().Add(-time.Second) // it is told to a hundredth
	cmd := sleeper(t)
	p := open(t, cmd.Process.Pid)
	i, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := filepath.EvalSymlinks(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	if i.PID != cmd.Process.Pid || i.PPID != os.Getpid() || i.Name != "sleep" || i.Executable != exe || i.UID != uint32(os.Geteuid()) {
		t.Errorf("%+v", i)
	}
	if i.Started.Before(before) || i.Started.After(time.Now().Add(time.Second)) {
		t.Errorf("it started at %v, and now is %v", i.Started, time.Now())
	}
	if i.Cgroup == "" || i.Cgroup[0] != '/' {
		t.Errorf("its control group is %q", i.Cgroup)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if i, err := p.Info(); !errors.Is(err, fault.NotFound) {
		t.Errorf("of a dead one: %+v, %v", i, err)
	}
}

func TestExitOfAChild(t *testing.T) {
	for script, want := range map[string]string{"exit 0": "exit status 0", "exit 7": "exit status 7", "kill -9 $$": "signal: killed", "kill -15 $$": "signal: terminated"} {
		cmd := exec.Command("sh", "-c", "read x; "+script)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p := open(t, cmd.Process.Pid)
		if e, err := p.Exit(); !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: while it runs: %v, %v", script, e, err)
		}
		_ = in.Close()
		<-p.Done()
		e, err := p.Exit()
		if err != nil || e.String() != want {
			t.Errorf("%s: %v, %v", script, e, err)
		}
		_ = cmd.Wait() // asking has not reaped it
		if cmd.ProcessState == nil || cmd.ProcessState.String() != want {
			t.Errorf("%s: os/exec says %v", script, cmd.ProcessState)
		}
	}
}

// The end of another's child is known once that has reaped it, on kernels that
// keep it.
func TestExitOfAnothersChild(t *testing.T) {
	for script, want := range map[string]string{"read x; exit 5": "exit status 5", "read x; kill -9 $$": "signal: killed"} {
		parent := proctest.Start(t, "parent", script)
		pid, err := strconv.Atoi(parent.Hear())
		if err != nil {
			t.Fatal(err)
		}
		p := open(t, pid)
		parent.Say("let it end")
		<-p.Done()
		if e, err := p.Exit(); !errors.Is(err, fault.Unavailable) && !errors.Is(err, fault.Unsupported) {
			t.Errorf("%s: before it is reaped: %v, %v", script, e, err)
		}
		parent.Say("reap it")
		parent.Expect("reaped")
		e, err := p.Exit()
		switch {
		case errors.Is(err, fault.Unsupported):
			t.Logf("this kernel tells its parent only: %v", err)
		case err != nil || e.String() != want:
			t.Errorf("%s: %v, %v", script, e, err)
		}
		parent.Done()
		if err := parent.Wait(); err != nil {
			t.Error(err)
		}
	}
}
