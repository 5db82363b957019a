// SPDX-License-Identifier: Apache-2.0

package exec_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/process"
	"github.com/parley-ipc/parley/transport/exec"
)

func TestPlainFilter(t *testing.T) {
	c := dial(t, program(t, "cat"), exec.Config{})
	if id := c.Peer(); id.Method != auth.Spawned || !id.HasUID || int(id.UID) != os.Geteuid() || id.PID == 0 {
		t.Errorf("the child is %+v", id)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() { _, _ = c.Write(sent); _ = c.CloseWrite() }()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(sent))
	}
	if err := c.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExitStatusAndStderr(t *testing.T) {
	var log logBuffer
	cfg := exec.Config{}
	cfg.Logger = log.logger()
	c := dial(t, program(t, `sh -c 'echo complaint >&2; head -c 5000 /dev/zero | tr "\\0" x >&2; echo out; exit 3'`), cfg)
	got, err := io.ReadAll(c)
	var exit *exec.ExitError
	if string(got) != "out\n" || !errors.As(err, &exit) || exit.ExitCode() != 3 || !errors.Is(err, fault.PeerDied) {
		t.Fatalf("read %q, %v; want the exit status 3", got, err)
	}
	if err := c.Wait(t.Context()); !errors.As(err, &exit) {
		t.Errorf("Wait: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.As(err, &exit) {
		t.Errorf("Write: %v, want the exit status", err)
	}
	_ = c.Close()
	if text := log.String(); !strings.Contains(text, "line=complaint") || strings.Count(text, "xxx line") != 0 || strings.Count(text, "line=xxx") != 2 {
		t.Errorf("log says:\n%s", text)
	}
}

func TestHalfCloseIsNotTheEnd(t *testing.T) {
	c := dial(t, program(t, `sh -c 'echo out; exec >&-; read line; echo "$line" >&2; exit 4'`), exec.Config{})
	if got, err := io.ReadAll(c); err != nil || string(got) != "out\n" {
		t.Fatalf("read %q, %v; want EOF from a child that goes on", got, err)
	}
	if _, err := fmt.Fprintln(c, "go"); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(t.Context()); !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Errorf("Wait: %v, want exit status 4", err)
	}
}

func TestTakenStream(t *testing.T) {
	addr := address(t, "5")
	addr.Query = map[string]string{"parley": "true"}
	c := dial(t, addr, in("echo"))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	go func() { _, _ = c.Write(sent); _ = c.CloseWrite() }()
	got, err := io.ReadAll(c)
	var exit *exec.ExitError
	if !bytes.Equal(got, sent) || !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Fatalf("read %d bytes, %v; want %d and exit status 5", len(got), err, len(sent))
	}
}

// The child takes while a Write fills its stdin, a Read waits on its stdout,
// and our direction has perhaps been closed already.
func TestTakeMovesAStreamInMidFlight(t *testing.T) {
	for _, closeBefore := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed before %v", closeBefore), func(t *testing.T) {
			gate := filepath.Join(t.TempDir(), "gate")
			c := dial(t, address(t, gate), in("late"))
			size := 1 << 20
			if closeBefore {
				size = 1 << 12 // fits the pipe
			}
			sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			written := make(chan error, 1)
			write := func() {
				_, err := c.Write(sent)
				written <- errors.Join(err, c.CloseWrite())
			}
			if closeBefore {
				write()
			} else {
				go write()
			}
			got := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(c); got <- b }()
			if err := os.WriteFile(gate, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if b := <-got; !bytes.Equal(b, sent) {
				t.Errorf("%d bytes came back of %d", len(b), len(sent))
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	c := dial(t, address(t), in("files"))
	f, err := os.CreateTemp(t.TempDir(), "f")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if n, err := c.WriteFiles([]byte("take this"), []*os.File{f, f}); n != 9 || err != nil { // waits for the take
		t.Fatal(n, err)
	}
	buf := make([]byte, 100)
	n, files, err := c.ReadFiles(buf)
	if err != nil || string(buf[:n]) != "take this" || len(files) != 2 {
		t.Fatalf("%q, %d files, %v", buf[:n], len(files), err)
	}
	for _, f := range files {
		_ = f.Close()
	}
	if b, _ := os.ReadFile(f.Name()); string(b) != "child was herechild was here" {
		t.Errorf("the file holds %q", b)
	}
	many := make([]*os.File, 65)
	for i := range many {
		many[i] = f
	}
	if _, err := c.WriteFiles([]byte("x"), many); !errors.Is(err, fault.TooLarge) {
		t.Errorf("65 files: %v, want too large", err)
	}
}

func TestFilesNeedATake(t *testing.T) {
	c := dial(t, program(t, "cat"), exec.Config{})
	_ = c.SetWriteDeadline(time.Now().Add(-time.Second))
	if _, err := c.WriteFiles([]byte("x"), []*os.File{os.Stdin}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprint(c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil { // cat talks on stdout
		t.Fatal(err)
	}
	if _, err := c.WriteFiles([]byte("x"), []*os.File{os.Stdin}); !errors.Is(err, fault.Unsupported) {
		t.Errorf("over pipes: %v, want unsupported", err)
	}
}

func TestParleyRequired(t *testing.T) {
	for _, tc := range []struct {
		command string
		patient time.Duration
		want    string
	}{
		{"cat?parley=true", 100 * time.Millisecond, "did not take"},
		{"false?parley=true", time.Minute, "exit status 1"}, // told as soon as it has ended
	} {
		cfg := exec.Config{}
		cfg.HandshakeTimeout = tc.patient
		_, err := exec.Dial(t.Context(), program(t, tc.command), cfg)
		if !errors.Is(err, fault.Protocol) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want a protocol error with %q", tc.command, err, tc.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := exec.Dial(ctx, program(t, "cat?parley=true"), exec.Config{}); !errors.Is(err, fault.Timeout) {
		t.Errorf("context: %v, want timed out", err)
	}
}

func TestStrayPrintsGoToTheLog(t *testing.T) {
	addr := address(t)
	addr.Query = map[string]string{"parley": "true"}
	cfg := in("stray")
	var log logBuffer
	cfg.Logger = log.logger()
	c := dial(t, addr, cfg)
	if _, err := fmt.Fprint(c, "payload"); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "payload" {
		t.Fatalf("read %q, %v", got, err)
	}
	_ = c.Close()
	for _, want := range []string{"stray: before", "stray: after"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, log.String())
		}
	}
}

func TestCloseKillsTheStubbornAndTheirChildren(t *testing.T) {
	cfg := in("stubborn")
	cfg.Grace = 50 * time.Millisecond
	c := dial(t, address(t), cfg)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = grandchild.Close() }()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := grandchild.Wait(ctx); err != nil {
		t.Errorf("the grandchild lives on: %v", err)
	}
	var exit *exec.ExitError
	if err := c.Wait(t.Context()); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("Wait: %v, want signal: killed", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

// A child that ended leaves a process that holds its output: the reader is
// freed after the grace.
func TestLeftoversDoNotHoldTheReader(t *testing.T) {
	c := dial(t, program(t, `sh -c 'sleep 1000 & exit 6'`), exec.Config{Grace: 50 * time.Millisecond})
	var exit *exec.ExitError
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &exit) || exit.ExitCode() != 6 {
		t.Errorf("Read: %v, want exit status 6", err)
	}
}

// While something that the child left running holds its stderr, how the child
// ended is not known yet: that must not hold a Read past its deadline.
func TestDeadlineWhileLeftoversHoldTheChild(t *testing.T) {
	c := dial(t, program(t, `sh -c 'sleep 1000 >/dev/null & exit 6'`), exec.Config{Grace: 10 * time.Second})
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v, want os.ErrDeadlineExceeded", err)
	}
}

func TestKilledChild(t *testing.T) {
	for _, role := range []string{"hold", "stubborn"} {
		t.Run(role, func(t *testing.T) {
			c := dial(t, address(t, "alone"), in(role))
			if role == "hold" {
				if _, err := c.WriteFiles([]byte("x"), []*os.File{os.Stdin}); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if err := syscall.Kill(c.Peer().PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if _, err := c.Read(make([]byte, 1)); !errors.As(err, &exit) || exit.Error() != "signal: killed" {
				t.Errorf("Read: %v, want signal: killed", err)
			}
		})
	}
}

func TestWhoThePartiesAre(t *testing.T) {
	say := func(c *exec.Conn) string {
		t.Helper()
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	c := dial(t, address(t), in("who"))
	want := fmt.Sprintf("kernel uid:%d %d|", os.Geteuid(), os.Getpid())
	if got := say(c); !strings.HasPrefix(got, want) || !strings.Contains(got, "in use") || !strings.HasSuffix(got, "|false") {
		t.Errorf("over the socket the child says %q, want %q…", got, want)
	}
	// Down a pipeline, stdin is not the pipe of the offer, and the offer is not
	// the child's to take.
	addr := address(t)
	c = dial(t, endpoint.Address{Scheme: endpoint.Exec, Args: []string{"sh", "-c", `cat | "$0"`, addr.Args[0]}}, in("who"))
	_ = c.CloseWrite()
	want = fmt.Sprintf("file-owner uid:%d 0|", os.Geteuid())
	if got := say(c); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "|false") {
		t.Errorf("down a pipeline the child says %q, want %q…", got, want)
	}
}

func TestAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	uid := uint32(54321)
	c := dial(t, program(t, "id -u"), exec.Config{UID: &uid})
	if got, err := io.ReadAll(c); err != nil || string(got) != "54321\n" || c.Peer().UID != uid || c.Peer().GID != uid {
		t.Errorf("the child is %q, %v, peer %+v", got, err, c.Peer())
	}
}

func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		command string
		cfg     exec.Config
		kind    fault.Kind
	}{
		{"no-such-program-here", exec.Config{}, fault.NotFound},
		{"/no/such/program", exec.Config{}, fault.NotFound},
		{script, exec.Config{}, fault.Denied},
		{garbage, exec.Config{}, fault.Invalid},
		{"cat", exec.Config{Dir: "/no/such/directory"}, fault.NotFound},
	} {
		_, err := exec.Dial(t.Context(), program(t, tc.command), tc.cfg)
		var e *fault.Error
		if !errors.Is(err, tc.kind) || !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%s: %v, want %v and a hint", tc.command, err, tc.kind)
		}
	}
}
