// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a child seen from the test. Its methods, but for Pid, Kill and
// Signal, may end the test and so belong to the test's own goroutine.
type Process struct {
	t       testing.TB
	role    string
	cmd     *exec.Cmd
	timeout time.Duration

	in          *os.File // the child's stdin, our end
	out, errOut *os.File // the child's stdout and stderr, our ends
	lines       chan string
	drop        chan struct{} // closed by stop: nobody takes lines any more
	outDone     chan struct{} // the child and its children have closed stdout
	errDone     chan struct{}
	exited      chan struct{} // the child was reaped; waitErr is set
	waitErr     error
	stopOnce    sync.Once

	mu   sync.Mutex
	tail []string // the last lines of stderr; guarded by mu
}

const tailLines = 20

// Pid is the process that was started: the prefix's, if there is one.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Say sends the child a line.
func (p *Process) Say(line string) {
	p.t.Helper()
	_ = p.in.SetWriteDeadline(time.Now().Add(p.timeout))
	if _, err := p.in.WriteString(encode(line)); err != nil {
		p.fatalf("saying %q: %v", line, err)
	}
}

// Done tells the child that no more lines come: its Hear returns io.EOF, and
// it has five seconds to end.
func (p *Process) Done() { _ = p.in.Close() }

// Hear waits for the child's next line.
func (p *Process) Hear() string {
	p.t.Helper()
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	select {
	case line, ok := <-p.lines:
		if ok {
			return line
		}
		<-p.exitedOr(timer.C)
		p.awaitLastWords()
		p.fatalf("ended without a further line: %s", p.status())
	case <-timer.C:
		p.fatalf("said nothing for %v", p.timeout)
	}
	return ""
}

// Expect waits for the child's next line, which must be this one.
func (p *Process) Expect(line string) {
	p.t.Helper()
	if got := p.Hear(); got != line {
		p.fatalf("said %q, want %q", got, line)
	}
}

// Wait waits for the child to end and returns its exit status, as
// (*exec.Cmd).Wait does.
func (p *Process) Wait() error {
	p.t.Helper()
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return p.waitErr
	case <-timer.C:
		p.fatalf("did not end within %v", p.timeout)
		return nil
	}
}

// Signal sends a signal to the child, and to its prefix if it has one.
func (p *Process) Signal(sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok || p.signalGroup(s) != nil {
		_ = p.cmd.Process.Signal(sig)
	}
}

// Kill sends SIGKILL and waits until the child has gone with everything that
// it had open.
func (p *Process) Kill() {
	p.Signal(os.Kill)
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	<-p.exitedOr(timer.C)
	select {
	case <-p.outDone:
	case <-time.After(2 * time.Second): // something that left its process group holds stdout
	}
}

func (p *Process) exitedOr(late <-chan time.Time) <-chan struct{} {
	either := make(chan struct{})
	go func() {
		defer close(either)
		select {
		case <-p.exited:
		case <-late:
		}
	}()
	return either
}

func (p *Process) status() string {
	select {
	case <-p.exited:
	default:
		return "still running"
	}
	if p.waitErr != nil {
		return p.waitErr.Error()
	}
	return "exit status 0"
}

// stop kills, reaps and waits for our goroutines, so that none of them logs
// into a finished test.
func (p *Process) stop() {
	p.stopOnce.Do(func() {
		close(p.drop)
		_ = p.in.Close()
		p.Kill()
		p.awaitLastWords()
		_ = errors.Join(p.out.Close(), p.errOut.Close())
		<-p.outDone
		<-p.errDone
	})
}

// awaitLastWords waits until a child that has ended has been read to the end,
// but not long for one whose own children still hold its stderr.
func (p *Process) awaitLastWords() {
	select {
	case <-p.errDone:
	case <-time.After(time.Second):
	}
}

func (p *Process) fatalf(format string, args ...any) {
	p.t.Helper()
	p.mu.Lock()
	tail := strings.Join(p.tail, "\n\t")
	p.mu.Unlock()
	p.t.Fatalf("child %s (pid %d) "+format+"\n\t"+"%s", append(append([]any{p.role, p.Pid()}, args...), tail)...)
}
