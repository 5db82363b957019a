// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/process"
)

const (
	envBlock = "PROCESS_TEST_BLOCK" // set where a role wants its signals blocked

	howStubborn = "stubborn" // also asks for what cannot be blocked
	howReplaced = "replaced" // finds another program at its path

	sigQueued = syscall.Signal(36) // a real-time signal
)

func TestMain(m *testing.M) {
	if how := os.Getenv(envBlock); how != "" {
		if err := blockAs(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	proctest.RunRole(map[string]proctest.Role{
		"receiver": receiver, "parent": parent, "starter": starter, "group": group, "waiters": waiters,
	})
	goleak.VerifyTestMain(proctest.Isolated(m))
}

// blockAs comes first in main, as BlockSignals has it.
func blockAs(how string) error {
	if how == howReplaced {
		if err := replaceOnce(); err != nil {
			return err
		}
	}
	if err := process.BlockSignals(syscall.SIGUSR1, sigQueued); err != nil || how != howStubborn {
		return err
	}
	return process.BlockSignals(syscall.SIGCHLD) // which Go's runtime unblocks at its start
}

// replaceOnce puts another program at our own path, unless it has.
func replaceOnce() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil || strings.HasSuffix(exe, " (deleted)") {
		return err
	}
	return errors.Join(os.Remove(exe), os.WriteFile(exe, []byte("#!/bin/sh\necho another program\n"), 0o755))
}

// receiver says each signal that it gets.
func receiver(p *proctest.Self) error {
	r, err := process.Receive(syscall.SIGUSR1, sigQueued)
	if err != nil {
		return err
	}
	p.Say("ready")
	for {
		s, err := r.Next(context.Background())
		if err != nil {
			return err
		}
		p.Sayf("%d from %d uid %d value %d vouched %v", s.Signal, s.PID, s.UID, s.Value, s.Vouched)
	}
}

// parent starts a child that is not the test's, and reaps it when told to.
func parent(p *proctest.Self) error {
	cmd := exec.Command("sh", "-c", p.Args[0])
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.Sayf("%d", cmd.Process.Pid)
	if _, err := p.Hear(); err != nil {
		return err
	}
	_ = in.Close()
	if _, err := p.Hear(); err != nil {
		return err
	}
	_ = cmd.Wait() // however it ended
	p.Say("reaped")
	_, _ = p.Hear()
	return nil
}

// starter starts a program that says its mask: as os/exec does, and as Start
// does. No shell: some take the mask off.
func starter(p *proctest.Self) error {
	for _, start := range []func(*exec.Cmd) error{
		(*exec.Cmd).Start,
		func(cmd *exec.Cmd) error { return process.Start(cmd, nil) },
	} {
		cmd := exec.Command("cat", "/proc/self/status", "/proc/self/environ")
		var out strings.Builder
		cmd.Stdout = &out
		if err := errors.Join(start(cmd), cmd.Wait()); err != nil {
			return err
		}
		_, rest, _ := strings.Cut(out.String(), "\nSigBlk:\t")
		mask, _, _ := strings.Cut(rest, "\n")
		p.Sayf("%s %v", mask, strings.Contains(rest, "PARLEY_SIGNALS"))
	}
	return nil
}

// group leads a process group, leaves one in it and ends.
func group(p *proctest.Self) error {
	if err := syscall.Setpgid(0, 0); err != nil {
		return err
	}
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		return err
	}
	p.Sayf("%d", cmd.Process.Pid)
	_, _ = p.Hear()
	return nil
}

// waiters cancels one that waits, one behind it, and closes under a third.
func waiters(p *proctest.Self) error {
	r, err := process.Receive(syscall.SIGUSR1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	behind, cancelBehind := context.WithCancel(context.Background())
	first, second, third := make(chan error), make(chan error), make(chan error)
	next := func(ctx context.Context, got chan<- error) { _, err := r.Next(ctx); got <- err }
	go next(ctx, first)
	go next(behind, second)
	cancelBehind()
	err2 := <-second // whichever of the two has its turn
	cancel()
	err1 := <-first
	go next(context.Background(), third)
	if err := r.Close(); err != nil {
		return err
	}
	p.Sayf("first %v, second %v, third %v", fault.KindOf(err1), fault.KindOf(err2), fault.KindOf(<-third))
	return nil
}
