// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"parley": func() { os.Exit(run()) }, "greeter": func() { os.Exit(greet()) }})
}

// TestScripts runs testdata/*.txtar: the specification of the command. Each
// script has a runtime directory, a home and a configuration of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"random": random,
			"equal":  equal,
			"port":   port,
			"await":  await,

			"protoset": protoset,
		},
	})
}

// setup gives a script its directories. Sockets have names of 107 bytes at
// most, so the runtime directory is a short one.
func setup(env *testscript.Env) error {
	run, err := os.MkdirTemp("", "parley")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(run) })
	env.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(run, "run"))
	env.Setenv("RUN", filepath.Join(run, "run"))
	env.Setenv("UNIQUE", filepath.Base(run)) // for what all scripts of the machine share
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("UID", strconv.Itoa(os.Geteuid()))
	return nil
}

// condition knows [long], which PARLEY_LONG=1 sets, and [root].
func condition(name string) (bool, error) {
	switch name {
	case "long":
		return os.Getenv("PARLEY_LONG") != "", nil
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("no condition %q", name)
}

// exits CODE PROGRAM ARGS… wants that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("%q: exit code %d, want %d", args[1:], got, want)
	}
}

// random FILE MIB makes a file of that many MiB, and a few bytes, that nobody
// can guess.
func random(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: random FILE MIB")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = io.CopyN(f, rand.Reader, int64(n)<<20+137)
	ts.Check(errors.Join(err, f.Close()))
}

// equal FILE FILE compares bytes, where cmp would print their difference.
func equal(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: equal FILE FILE")
	}
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if bytes.Equal(a, b) == neg {
		ts.Fatalf("%s (%d bytes) and %s (%d bytes): equal is %v", args[0], len(a), args[1], len(b), !neg)
	}
}

// port NAME puts a free loopback port into the environment. Nobody else is
// likely to be given it before the script listens there.
func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port NAME")
	}
	n, err := freePort()
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(n))
}

// await GLOB waits until a file of that name is there: a listener's socket, a
// partial file.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await GLOB")
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); <-tick.C {
		if found, err := filepath.Glob(ts.MkAbs(args[0])); len(found) > 0 || err != nil {
			ts.Check(err)
			return
		}
	}
	ts.Fatalf("%s did not come", args[0])
}

// TestVerbs holds each verb to the house's rules: a line of its own, an
// example, a group, and a script named after it.
func TestVerbs(t *testing.T) {
	root := newRoot(&app{in: os.Stdin, out: io.Discard, err: io.Discard})
	var walk func(cmd *cobra.Command, top string)
	walk = func(cmd *cobra.Command, top string) {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s lacks a Short or an Example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long) {
			if len([]rune(strings.TrimRight(line, "\n"))) > 82 {
				t.Errorf("%s: a line of Long is wider than 82 columns: %s", cmd.CommandPath(), line)
			}
		}
		if !strings.Contains(cmd.Example, "parley "+top) {
			t.Errorf("%s: the Example does not use it", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub, top)
		}
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		walk(cmd, cmd.Name())
		if cmd.GroupID == "" {
			t.Errorf("%s is in no group", cmd.Name())
		}
		scripts, _ := filepath.Glob(filepath.Join("testdata", strings.ReplaceAll(cmd.Name(), "-", "_")+"*.txtar"))
		if len(scripts) == 0 {
			t.Errorf("%s has no testdata/%s.txtar", cmd.Name(), cmd.Name())
		}
		if _, err := os.Stat(cmd.Name() + ".go"); err != nil {
			t.Errorf("%s has no file of its own: %v", cmd.Name(), err)
		}
	}
}

// TestSettable: what runs, removes or overwrites is never taken from the
// environment or a file, and each name is a flag that exists.
func TestSettable(t *testing.T) {
	root := newRoot(&app{in: os.Stdin, out: io.Discard, err: io.Discard})
	for _, name := range []string{"exec", "force", "yes", "keep", "allow", "dir", "out", "file"} {
		for _, s := range settable {
			if s == name {
				t.Errorf("--%s can be set from outside", name)
			}
		}
	}
	for _, name := range settable {
		found := root.PersistentFlags().Lookup(name) != nil
		for _, cmd := range root.Commands() {
			found = found || cmd.Flags().Lookup(name) != nil
			for _, sub := range cmd.Commands() {
				found = found || sub.Flags().Lookup(name) != nil
			}
		}
		if !found {
			t.Errorf("no verb has the flag --%s", name)
		}
	}
}

func TestProgressLine(t *testing.T) {
	for _, c := range []struct {
		name        string
		done, total int64
		rate        float64
		width       int
		want        string
	}{
		{"big", 50 << 20, 100 << 20, 10 << 20, 80, "big  [###############................]   50 %  50.0 MiB of 100.0 MiB  10.0 MiB/s"},
		{"-", 1536, -1, 0, 80, "-  1.5 KiB"},
		{"empty", 0, 0, 0, 80, "empty  0 B"},
		{"a\x1b[2Jb", 1, 2, 0, 40, "a?[2Jb  [#####......]   50 %  1 B of 2 B"},
		{"a-very-long-name-indeed", 1, 2, 0, 30, "a-very-lo…   50 %  1 B of 2 B"},
		{"big", 50 << 20, 100 << 20, 10 << 20, 20, "big   50 %  50.0 MiB"},
	} {
		got := progressLine(c.name, c.done, c.total, c.rate, c.width)
		if got != c.want {
			t.Errorf("%q at %d columns:\n got %q\nwant %q", c.name, c.width, got, c.want)
		}
		if n := len([]rune(got)); n > c.width {
			t.Errorf("%q: %d columns, at most %d", got, n, c.width)
		}
	}
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return ln.Addr().(*net.TCPAddr).Port, ln.Close()
}
