// SPDX-License-Identifier: Apache-2.0

package exec_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
	"github.com/parley-ipc/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	roles := transporttest.Roles(taking, plain)
	maps.Copy(roles, map[string]proctest.Role{
		"relay": relay, "plainrelay": plainRelay, "echo": echo, "files": takesFiles, "stray": stray, "stubborn": stubborn,
		"who": who, "hostile": hostile, "late": late, "hold": hold,
		"http": serveHTTP, "denying": denying, "listening": listening, "parent": parent, "orphan": orphan, "plainorphan": plainOrphan,
	})
	proctest.RunRole(roles)
	goleak.VerifyTestMain(proctest.Isolated(m))
}

func stdio() (transport.FilePasser, error) {
	c, err := exec.Stdio(context.Background(), transport.DialConfig{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return nil, err
	}
	return c.(transport.FilePasser), nil
}

// relay bridges our stdio to the socket named in the arguments, so that a test
// can hold both ends.
func relay(p *proctest.Self) error {
	c, err := stdio()
	if err != nil {
		return err
	}
	far, err := net.Dial("unix", p.Args[0])
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { pump(sock{far.(*net.UnixConn)}, c) })
	wg.Go(func() { pump(c, sock{far.(*net.UnixConn)}) })
	wg.Wait()
	return c.Close()
}

// plainRelay is relay for a child that knows nothing of PARLEY_FD.
func plainRelay(p *proctest.Self) error {
	_ = os.Unsetenv(exec.EnvFD)
	return relay(p)
}

// echo gives back what it gets, then ends with the status in its arguments.
func echo(p *proctest.Self) error {
	c, err := stdio()
	if err != nil {
		return err
	}
	if _, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}); err != nil {
		return err
	}
	if len(p.Args) > 0 && p.Args[0] != "0" {
		os.Exit(int(p.Args[0][0] - '0'))
	}
	return nil
}

// takesFiles appends to each file that it gets, and sends them back.
func takesFiles(*proctest.Self) error {
	c, err := stdio()
	if err != nil {
		return err
	}
	buf := make([]byte, 1024)
	for {
		n, files, err := c.ReadFiles(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, f := range files {
			if _, err := f.WriteString("child was here"); err != nil {
				return err
			}
		}
		if _, err := c.WriteFiles(buf[:n], files); err != nil {
			return err
		}
	}
}

// stray prints before and after it takes stdio.
func stray(*proctest.Self) error {
	fmt.Println("stray: before")
	c, err := stdio()
	if err != nil {
		return err
	}
	fmt.Println("stray: after")
	if _, err := io.ReadAll(os.Stdin); err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
	return err
}

// stubborn ignores the end of its stdin and every signal that it can, and has
// a child of its own that does too.
func stubborn(p *proctest.Self) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGINT)
	if len(p.Args) > 0 {
		select {}
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	child, err := os.StartProcess(exe, []string{exe, "grandchild"}, &os.ProcAttr{
		Env: append(os.Environ(), proctest.Environ("stubborn")), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	fmt.Println(child.Pid)
	select {}
}

// who tells whom it sees on the other side, and whether a second Stdio works.
func who(*proctest.Self) error {
	c, err := stdio()
	if err != nil {
		return err
	}
	_, again := exec.Stdio(context.Background(), transport.DialConfig{})
	_, env := os.LookupEnv(exec.EnvFD)
	_, err = fmt.Fprintf(c, "%s %s %d|%v|%v\n", c.Peer().Method, c.Peer(), c.Peer().PID, again, env)
	return err
}

// late takes stdio only when it is told to by a file.
func late(p *proctest.Self) error {
	deadline := time.Now().Add(20 * time.Second)
	for _, err := os.Stat(p.Args[0]); err != nil && time.Now().Before(deadline); _, err = os.Stat(p.Args[0]) {
		_, _ = syscall.Select(0, nil, nil, nil, &syscall.Timeval{Usec: 1000})
	}
	return takesFiles(p)
}

// hold takes stdio and reads nothing.
func hold(*proctest.Self) error {
	if _, err := stdio(); err != nil {
		return err
	}
	select {}
}

// address makes an exec: address that runs this test binary.
func address(t testing.TB, args ...string) endpoint.Address {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.Address{Scheme: endpoint.Exec, Args: append([]string{exe}, args...)}
}

// in is the configuration for a child in a role.
func in(role string) exec.Config {
	return exec.Config{Env: append(os.Environ(), proctest.Environ(role))}
}

func dial(t testing.TB, addr endpoint.Address, cfg exec.Config) *exec.Conn {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	c, err := exec.Dial(t.Context(), addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

func program(t testing.TB, s string) endpoint.Address {
	t.Helper()
	a, err := endpoint.Parse("exec:" + s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
