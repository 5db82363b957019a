// SPDX-License-Identifier: Apache-2.0

package party

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec is a process to start.
type Spec struct {
	Argv []string // default: this program again
	Env  []string // added to our own
	Up   string   // part of the line that it says when it is there; default "up"

	// Quiet throws away what it says on stderr.
	Quiet bool
}

// process is one of a subject's.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

// start starts a process on the processors and waits until it is up. It dies
// with the thread that started it.
func start(ctx context.Context, name string, s Spec, cpus []int) (*process, error) {
	argv := s.Argv
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		argv = []string{self}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	if !s.Quiet {
		cmd.Stderr = os.Stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(cmd, cpus); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	up := s.Up
	if up == "" {
		up = "up"
	}
	if line, err := p.line(); err != nil || !strings.Contains(line, up) {
		p.stop()
		return nil, fmt.Errorf("%s did not start: it said %q: %w", argv[0], line, err)
	}
	return p, nil
}

// StartDaemon starts a process that no subject owns and whose processor time
// counts for nobody. It ends with stop, or with the thread that called.
func StartDaemon(ctx context.Context, s Spec) (stop func(), err error) {
	cpus, err := allowed()
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, "daemon", s, cpus)
	if err != nil {
		return nil, err
	}
	go func() {
		for p.out.Scan() { // it must not block on what it says
		}
	}()
	return func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}, nil
}

// startOn starts cmd with the affinity of our thread, which it inherits.
func startOn(cmd *exec.Cmd, cpus []int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return err
	}
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &old) }()
	return cmd.Start()
}

// allowed are the processors that we may use.
func allowed() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var all []int
	for cpu := range 8 * len(set) * 8 {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all, nil
}

func (p *process) begin(c Command) error {
	if _, err := fmt.Fprintln(p.in, c); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return p.expect("ready")
}

func (p *process) end() (Figures, error) {
	line, err := p.line()
	if err != nil {
		return nil, err
	}
	f, err := parseFigures(line)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return f, nil
}

func (p *process) expect(word string) error {
	line, err := p.line()
	if err == nil && line != word {
		err = fmt.Errorf("%s: said %q, not %q", p.name, line, word)
	}
	return err
}

func (p *process) line() (string, error) {
	if p.out.Scan() {
		return p.out.Text(), nil
	}
	return "", fmt.Errorf("%s: %w", p.name, errors.Join(io.ErrUnexpectedEOF, p.out.Err()))
}

// grace is how long a process may take to end by itself.
const grace = time.Second

// stop ends the process: it may write its profile, but no more.
func (p *process) stop() {
	_ = p.in.Close()
	kill := time.AfterFunc(grace, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
}
