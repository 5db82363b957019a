// SPDX-License-Identifier: Apache-2.0

package proctest_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{
		"echo":   echo,
		"broken": func(*proctest.Self) error { return errors.New("broken on purpose") },
		"whoami": whoami,
		"mute":   func(p *proctest.Self) error { p.Say("here"); select {} },
	})
	goleak.VerifyTestMain(m)
}

func echo(p *proctest.Self) error {
	fmt.Println("a stray print does no harm")
	for {
		line, err := p.Hear()
		if err == io.EOF {
			p.Say("bye")
			return nil
		}
		if err != nil {
			return err
		}
		p.Say(line)
	}
}

func whoami(p *proctest.Self) error {
	p.Sayf("uid %d gid %d pid %d args %q env %q", os.Getuid(), os.Getgid(), os.Getpid(), p.Args, os.Getenv("X"))
	return nil
}

func TestEcho(t *testing.T) {
	p := proctest.Start(t, "echo")
	for _, line := range []string{"hello", "", "two\nlines", strings.Repeat("x", 1<<20)} {
		p.Say(line)
		p.Expect(line)
	}
	p.Done()
	p.Expect("bye")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestExitStatus(t *testing.T) {
	p := proctest.Start(t, "broken")
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("Wait = %v, want exit status 1", err)
	}
	if err := proctest.Start(t, "nobody").Wait(); !errors.As(err, &exit) || exit.ExitCode() != 64 {
		t.Errorf("an unknown role: Wait = %v, want exit status 64", err)
	}
}

func TestKill(t *testing.T) {
	p := proctest.Start(t, "mute")
	p.Expect("here")
	p.Kill()
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) {
		t.Errorf("Wait = %v, want death by signal", err)
	}
}

func TestArgsAndEnv(t *testing.T) {
	p := proctest.StartWith(t, proctest.Options{Role: "whoami", Args: []string{"-test.v", "b c"}, Env: []string{"X=y"}})
	if got, want := p.Hear(), `args ["-test.v" "b c"] env "y"`; !strings.HasSuffix(got, want) {
		t.Errorf("child said %s, want … %s", got, want)
	}
}

// recorder is a testing.TB whose failure can be looked at.
type recorder struct {
	testing.TB
	failed chan string
}

func (r *recorder) Fatalf(format string, args ...any) { r.failed <- fmt.Sprintf(format, args...) }

func TestSilenceFailsTheTest(t *testing.T) {
	r := &recorder{TB: t, failed: make(chan string, 1)}
	p := proctest.StartWith(r, proctest.Options{Role: "echo", Timeout: 50 * time.Millisecond})
	p.Hear()
	if got := <-r.failed; !strings.Contains(got, "said nothing") {
		t.Errorf("failed with %q, want that it said nothing", got)
	}
}

func TestDeathFailsTheTestWithLastWords(t *testing.T) {
	r := &recorder{TB: t, failed: make(chan string, 1)}
	p := proctest.Start(r, "broken")
	_ = p.Wait()
	p.Hear()
	if got := <-r.failed; !strings.Contains(got, "broken on purpose") || !strings.Contains(got, "exit status 1") {
		t.Errorf("failed with %q, want the exit status and the last words", got)
	}
}
