// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/child"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/process"
)

const (
	envBlock      = "CHILD_TEST_BLOCK" // set where a role wants a signal blocked
	blockedSignal = syscall.Signal(36)
)

func TestMain(m *testing.M) {
	if os.Getenv(envBlock) != "" {
		if err := process.BlockSignals(blockedSignal); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	proctest.Main(m, map[string]proctest.Role{
		"plugin": plugin, "deaf": deaf, "host": host, "mute": mute, "probe": probe, "leaver": leaver, "stray": stray,
	})
}

// plugin is a child that answers one line with one line. Its arguments are the
// protocols that it speaks.
func plugin(p *proctest.Self) error {
	cfg := child.ListenConfig{}
	for _, a := range p.Args {
		n, err := strconv.ParseUint(a, 10, 32)
		if err != nil {
			return err
		}
		cfg.Protocols = append(cfg.Protocols, uint32(n))
	}
	ln, err := child.Listen(context.Background(), cfg)
	if err != nil {
		return err
	}
	fmt.Println("plugin is up")
	for {
		c, err := ln.Accept()
		if err != nil {
			return nil //nolint:nilerr // the parent has gone
		}
		go serveLines(c)
	}
}

func serveLines(c net.Conn) {
	defer func() { _ = c.Close() }()
	for in := bufio.NewScanner(c); in.Scan(); {
		if _, err := fmt.Fprintln(c, respond(in.Text())); err != nil {
			return
		}
	}
}

func respond(line string) string {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "pid":
		return strconv.Itoa(os.Getpid())
	case "uid":
		return strconv.Itoa(os.Getuid())
	case "env":
		b, _ := json.Marshal(os.Environ())
		return string(b)
	case "status":
		return field("/proc/self/status", arg)
	case "groups":
		b, _ := os.ReadFile("/proc/self/cgroup")
		return strings.Join(strings.Fields(string(b)), " ")
	case "limit":
		return field("/proc/self/limits", arg)
	case "exit":
		code, _ := strconv.Atoi(arg)
		os.Exit(code)
	case "fds":
		names, _ := proctest.OpenFiles()
		return strings.Join(names, " ")
	case "fork": // leaves a grandchild in the group
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			return err.Error()
		}
		return strconv.Itoa(cmd.Process.Pid)
	case "ignore":
		signal.Ignore(syscall.SIGTERM)
	}
	return line
}

// field is the rest of the line that begins with name.
func field(file, name string) string {
	b, _ := os.ReadFile(file)
	for _, l := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(l, name); ok {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	return "no " + name
}

// leaver is deaf and in the process group of its parent.
func leaver(p *proctest.Self) error {
	theirs, err := syscall.Getpgid(os.Getppid())
	if err == nil {
		err = syscall.Setpgid(0, theirs)
	}
	if err != nil {
		return err
	}
	return deaf(p)
}

// stray leaves one behind that is in no group of ours and has our stdout.
func stray(*proctest.Self) error {
	cmd := exec.Command("sleep", "600")
	cmd.Stdout, cmd.SysProcAttr = os.Stdout, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	return nil
}

// deaf is a plugin that does not end when it is asked to.
func deaf(p *proctest.Self) error {
	signal.Ignore(syscall.SIGTERM)
	return plugin(p)
}

// mute starts and says nothing.
func mute(*proctest.Self) error {
	select {}
}

// probe is a plain program: it prints, and ends as its arguments say.
func probe(p *proctest.Self) error {
	fmt.Println("out", strings.Join(p.Args, " "))
	fmt.Fprintln(os.Stderr, "err")
	code, err := strconv.Atoi(p.Args[0])
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// host is a parent of its own: it starts a plugin, says its pid, and waits to
// be killed.
func host(p *proctest.Self) error {
	cfg := config("plugin")
	if p.Args[0] == "leave" {
		cfg = stubbornSurvivor()
	}
	if p.Args[0] == "plain" { // it does not look whether its parent lives
		cfg = child.Config{Path: "sleep", Args: []string{"600"}, Plain: true}
	}
	cfg.Name = p.Args[1]
	if len(p.Args) > 2 {
		cfg.Path = p.Args[2]
	}
	if p.Args[0] == "survive" {
		cfg.Orphan = child.Survive
	}
	c, err := child.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	switch p.Args[0] {
	case "mask":
		return sayMask(p, c.Process().Conn())
	case "leave":
		return sayAnswer(p, c.Process().Conn(), "fork")
	}
	p.Sayf("%d %v", c.Process().PID(), c.Process().Attached())
	_, _ = p.Hear()
	return c.Stop(context.Background())
}

func sayMask(p *proctest.Self, c io.ReadWriter) error {
	p.Say(field("/proc/self/status", "SigBlk:"))
	return sayAnswer(p, c, "status SigBlk:")
}

// sayAnswer passes on what a plugin says, and ends without stopping it.
func sayAnswer(p *proctest.Self, c io.ReadWriter, question string) error {
	if _, err := fmt.Fprintln(c, question); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	p.Say(strings.TrimSpace(line))
	return err
}

// stubbornSurvivor outlives its parent and does not end when it is asked to.
func stubbornSurvivor() child.Config {
	cfg := config("deaf")
	cfg.Orphan, cfg.Grace = child.Survive, 50*time.Millisecond
	return cfg
}

// config starts this test's own binary in a role.
func config(role string, args ...string) child.Config {
	exe, err := os.Executable()
	if err != nil {
		panic(err) //nolint:forbidigo // a test's own binary has a path
	}
	return child.Config{Path: exe, Args: args, Name: role, Env: []string{proctest.Environ(role)}, Grace: 20 * time.Second}
}

// start starts a child that ends with the test.
func start(t *testing.T, cfg child.Config) *child.Child {
	t.Helper()
	c, err := child.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whatever it is doing
		_ = c.Stop(ctx)
	})
	return c
}

// talk is a line-wise conversation with a plugin.
type talk struct {
	t *testing.T
	c io.ReadWriter
	r *bufio.Reader
}

func talkTo(t *testing.T, p *child.Process) *talk {
	t.Helper()
	return &talk{t, p.Conn(), bufio.NewReader(p.Conn())}
}

func (k *talk) ask(line string) string {
	k.t.Helper()
	if _, err := fmt.Fprintln(k.c, line); err != nil {
		k.t.Fatal(err)
	}
	answer, err := k.r.ReadString('\n')
	if err != nil {
		k.t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

// tell says what gets no answer.
func (k *talk) tell(line string) {
	k.t.Helper()
	if _, err := fmt.Fprintln(k.c, line); err != nil {
		k.t.Fatal(err)
	}
}

// within fails the test if done does not come.
func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not within 30 s", what)
	}
}
