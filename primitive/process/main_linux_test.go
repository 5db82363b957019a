// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/process"
)

const (
	envBlock = "PROCESS_TEST_BLOCK" // set where a role wants its signals blocked

	sigQueued = syscall.Signal(36) // a real-time signal
)

func TestMain(m *testing.M) {
	if os.Getenv(envBlock) != "" {
		if err := process.BlockSignals(syscall.SIGUSR1, sigQueued); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	proctest.RunRole(map[string]proctest.Role{"receiver": receiver, "parent": parent})
	goleak.VerifyTestMain(proctest.Isolated(m))
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
		p.Sayf("%d from %d uid %d value %d", s.Signal, s.PID, s.UID, s.Value)
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
