// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/process"
)

func TestSignalsWithSendersAndValues(t *testing.T) {
	r := proctest.StartWith(t, proctest.Options{Role: "receiver", Env: []string{envBlock + "=1"}})
	r.Expect("ready")
	p := open(t, r.Pid())
	from := " from " + strconv.Itoa(os.Getpid()) + " uid " + strconv.Itoa(os.Getuid())
	for _, v := range []int{1, -2, 1 << 30} { // a real-time signal is queued: all arrive, in order
		if err := p.SignalValue(sigQueued, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []string{"1", "-2", "1073741824"} {
		r.Expect("36" + from + " value " + v + " vouched false")
	}
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.Expect("10" + from + " value 0 vouched true")
	if err := p.SignalValue(syscall.SIGUSR1, 9); err != nil {
		t.Fatal(err)
	}
	r.Expect("10" + from + " value 9 vouched false")
	r.Kill()
	<-p.Done()
	if err := p.SignalValue(sigQueued, 1); !errors.Is(err, fault.NotFound) {
		t.Errorf("to a dead one: %v", err)
	}
}

func TestReceiveWantsThemBlocked(t *testing.T) {
	for _, sigs := range [][]syscall.Signal{{syscall.SIGUSR1}, {}, {unix.SIGKILL}, {0}, {65}} {
		if _, err := process.Receive(sigs...); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", sigs, err)
		}
	}
}

// TestWaitersEndWithTheirContexts: one that waits its turn behind another too.
func TestWaitersEndWithTheirContexts(t *testing.T) {
	p := proctest.StartWith(t, proctest.Options{Role: "waiters", Env: []string{envBlock + "=1"}})
	p.Expect("first cancelled, second cancelled, third closed")
}

func TestBlockSignalsRefusesNonsense(t *testing.T) {
	for _, sig := range []syscall.Signal{0, -1, 65, 2000, unix.SIGKILL, unix.SIGSTOP} {
		if err := process.BlockSignals(sig); !errors.Is(err, fault.Invalid) {
			t.Errorf("%d: %v", sig, err)
		}
	}
}

// A signal that cannot be blocked ends in an error, not in executing for ever.
func TestBlockSignalsGivesUp(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), envBlock+"="+howStubborn)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not blocked although") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestStartedProgramsHaveNothingBlocked: what os/exec starts has the mask.
func TestStartedProgramsHaveNothingBlocked(t *testing.T) {
	p := proctest.StartWith(t, proctest.Options{Role: "starter", Env: []string{envBlock + "=1"}})
	ours := uint64(1)<<(syscall.SIGUSR1-1) | 1<<(sigQueued-1)
	for _, want := range []uint64{ours, 0} {
		fields := strings.Fields(p.Hear())
		mask, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil || mask&ours != want {
			t.Errorf("the program has %v of %#x blocked, want %#x", fields, ours, want)
		}
		if fields[1] != "false" {
			t.Error("the program has our variable")
		}
	}
}

func TestStartPrepares(t *testing.T) {
	cmd := exec.Command("true")
	ran := 0
	if err := process.Start(cmd, func(pid int) error { ran = pid; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || ran != cmd.Process.Pid {
		t.Errorf("prepared %d, and %d ran: %v", ran, cmd.Process.Pid, err)
	}
	mark := filepath.Join(t.TempDir(), "mark")
	no := errors.New("no")
	if err := process.Start(exec.Command("touch", mark), func(int) error { return no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that was not to run has run: %v", err)
	}
}

// TestExecutesItself: the program that runs, not the one that has its name.
func TestExecutesItself(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Env = append(os.Environ(), proctest.Environ("starter"), envBlock+"="+howReplaced)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0000000000000000 false") {
		t.Errorf("%v: %s", err, out)
	}
}

// A dead one that its parent has not reaped takes no signals.
func TestSignalToAZombie(t *testing.T) {
	cmd := sleeper(t)
	p := open(t, cmd.Process.Pid)
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	for what, err := range map[string]error{"Signal": p.Signal(unix.SIGTERM), "SignalValue": p.SignalValue(sigQueued, 1)} {
		if !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSignalGroup(t *testing.T) {
	leader := proctest.Start(t, "group")
	member, err := strconv.Atoi(leader.Hear())
	if err != nil {
		t.Fatal(err)
	}
	lead, left := open(t, leader.Pid()), open(t, member)
	leader.Done()
	if err := leader.Wait(); err != nil { // it is reaped, and its group lives on
		t.Fatal(err)
	}
	err = lead.SignalGroup(unix.SIGKILL)
	if errors.Is(err, fault.Unsupported) {
		_ = left.Signal(unix.SIGKILL)
		t.Skipf("this kernel signals no group by a pidfd: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-left.Done()
	if err := lead.Signal(0); !errors.Is(err, fault.NotFound) {
		t.Errorf("the leader: %v", err)
	}
}
