// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/process"
)

// sleeper starts a child that lives until it is killed or the test ends.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if cmd.ProcessState == nil {
			t.Error("the child could not be reaped")
		}
	})
	return cmd
}

func open(t *testing.T, pid int) *process.Process {
	t.Helper()
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestSignalEndsAndDoneTells(t *testing.T) {
	cmd := sleeper(t)
	p := open(t, cmd.Process.Pid)
	if !p.Alive() || p.Pid() != cmd.Process.Pid {
		t.Fatalf("Alive %v, Pid %d; the child %d lives", p.Alive(), p.Pid(), cmd.Process.Pid)
	}
	select {
	case <-p.Done():
		t.Fatal("Done before the end")
	default:
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("a zombie is said to be alive")
	}
	_ = cmd.Wait()
	if err := p.Signal(syscall.SIGKILL); !errors.Is(err, fault.NotFound) {
		t.Errorf("signal after the end: %v, want not found", err)
	}
	if _, err := process.Open(cmd.Process.Pid); !errors.Is(err, fault.NotFound) {
		t.Errorf("open after the reaping: %v, want not found", err)
	}
}

func TestWaitEndsWithItsContextAndWithClose(t *testing.T) {
	p := open(t, sleeper(t).Process.Pid)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Wait(ctx); !errors.Is(err, fault.Timeout) {
		t.Errorf("Wait: %v, want timed out", err)
	}
	got := make(chan error, 1)
	go func() { got <- p.Wait(context.Background()) }()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, fault.Closed) {
		t.Errorf("Wait after Close: %v, want closed", err)
	}
	if err := p.Close(); err != nil || p.Alive() || p.Signal(0) == nil {
		t.Errorf("a closed handle works: %v", err)
	}
}

func TestFromFD(t *testing.T) {
	cmd := sleeper(t)
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.FromFD(os.NewFile(uintptr(pidfd), "pidfd"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if p.Pid() != cmd.Process.Pid || !p.Alive() {
		t.Errorf("pid %d alive %v, want %d", p.Pid(), p.Alive(), cmd.Process.Pid)
	}
	_ = cmd.Process.Kill()
	<-p.Done()

	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := process.FromFD(null); !errors.Is(err, fault.Invalid) {
		t.Errorf("FromFD of /dev/null: %v, want invalid", err)
	}
}

func TestOpenRefusesNonsense(t *testing.T) {
	for _, pid := range []int{0, -1} {
		if _, err := process.Open(pid); !errors.Is(err, fault.Invalid) {
			t.Errorf("Open(%d): %v, want invalid", pid, err)
		}
	}
}
