// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// DefaultTimeout bounds each wait for a child.
const DefaultTimeout = 30 * time.Second

// Options say how to start a child. Only Role is required.
type Options struct {
	Role       string
	Args       []string
	Env        []string      // added to ours
	UID, GID   *uint32       // another user's process; needs root
	ExtraFiles []*os.File    // the child's descriptors from 3 on
	Prefix     []string      // such as unshare --mount --pid --fork --mount-proc
	Dir        string        // default: ours
	Timeout    time.Duration // of each wait; default DefaultTimeout
}

// Start starts a child in the role.
func Start(t testing.TB, role string, args ...string) *Process {
	t.Helper()
	return StartWith(t, Options{Role: role, Args: args})
}

// StartWith starts a child as o says.
func StartWith(t testing.TB, o Options) *Process {
	t.Helper()
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	p := &Process{
		t: t, role: o.Role, cmd: command(t, o), timeout: o.Timeout,
		lines: make(chan string, 64), drop: make(chan struct{}),
		outDone: make(chan struct{}), errDone: make(chan struct{}), exited: make(chan struct{}),
	}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func command(t testing.TB, o Options) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if o.UID != nil {
		exe = reachable(t, exe)
	}
	argv := slices.Concat(o.Prefix, emulator(), []string{exe}, o.Args)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = slices.Concat(inherited(o), o.Env, []string{Environ(o.Role), controlEnv + "=1"})
	cmd.Dir, cmd.ExtraFiles = o.Dir, o.ExtraFiles
	if err := setAttributes(cmd, o); err != nil {
		t.Fatalf("starting role %s: %v", o.Role, err)
	}
	return cmd
}

// inherited is our environment, without our runtime directory for another
// user, who may not use it.
func inherited(o Options) []string {
	if o.UID == nil {
		return os.Environ()
	}
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, runtimeEnv+"=") })
}

// reachable returns a copy of exe that every user can execute: go test builds
// in a directory that only we can enter.
func reachable(t testing.TB, exe string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "proctest") //nolint:usetesting // another user cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, filepath.Base(exe))
	if os.Link(exe, path) != nil {
		if err := copyFile(path, exe); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{dir, path} {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return err
	}
	return dst.Close()
}

func (p *Process) start() {
	p.t.Helper()
	var theirs [3]*os.File
	pipe := func() (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			p.t.Fatal(err)
		}
		return r, w
	}
	theirs[0], p.in = pipe()
	p.out, theirs[1] = pipe()
	p.errOut, theirs[2] = pipe()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	err := p.cmd.Start()
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		_, _, _ = p.in.Close(), p.out.Close(), p.errOut.Close()
		p.t.Fatalf("starting role %s: %v", p.role, err)
	}
	go func() { p.waitErr = p.cmd.Wait(); close(p.exited) }()
	go p.readLines()
	go p.readErrors()
}

func (p *Process) readLines() {
	defer close(p.outDone)
	defer close(p.lines)
	in := bufio.NewReader(p.out)
	for {
		raw, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line, ok := decode(raw)
		if !ok {
			p.t.Logf("%s (pid %d) stdout: %s", p.role, p.Pid(), raw[:len(raw)-1])
			continue
		}
		select {
		case p.lines <- line:
		case <-p.drop:
		}
	}
}

func (p *Process) readErrors() {
	defer close(p.errDone)
	in := bufio.NewScanner(p.errOut)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		p.t.Logf("%s (pid %d): %s", p.role, p.Pid(), in.Text())
		p.mu.Lock()
		p.tail = append(p.tail, in.Text())
		if len(p.tail) > tailLines {
			p.tail = p.tail[1:]
		}
		p.mu.Unlock()
	}
}
