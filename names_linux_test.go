// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// named are the addresses of routes that have an owner in the registry, the
// ports filled in.
func named(t *testing.T) []string {
	t.Helper()
	var addresses []string
	for _, r := range routes(t) {
		if r.address != "" && r.name != "inproc" {
			addresses = append(addresses, strings.Replace(r.address, ":0", ":"+freePort(t), 1))
		}
	}
	return addresses
}

// TestListenOnANameThatIsTaken: while its owner lives it is an error that says
// who; once the owner was killed the name is free at once, with what it left.
func TestListenOnANameThatIsTaken(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range named(t) {
		owner := proctest.Start(t, "server", address, clientID)
		if got := owner.Hear(); strings.Contains(got, "|") {
			t.Fatalf("%s: %s", address, got)
		}
		lc, err := listenConfig(nil, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = lc.Listen(t.Context(), address)
		want := fmt.Sprintf("pid %d (%s) of uid %d", owner.Pid(), exe, os.Geteuid())
		if !errors.Is(err, fault.InUse) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, while its owner lives: %v; want in use and %q", address, err, want)
		}
		owner.Kill()
		ln, err := lc.Listen(t.Context(), address)
		if err != nil {
			t.Errorf("%s, after its owner was killed: %v", address, err)
			continue
		}
		if err := ln.Close(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	infos, err := endpoint.List(t.Context(), endpoint.ListOptions{})
	if err != nil || len(infos) != 0 {
		t.Errorf("left in the registry: %v, %v", infos, err)
	}
}

// TestWaitFor: a dialler waits for a process that starts to listen later.
func TestWaitFor(t *testing.T) {
	for _, address := range named(t) {
		if strings.HasPrefix(address, "tls") {
			continue // as tcp, once there is somebody
		}
		owner := proctest.Start(t, "later", address)
		owner.Expect("here")
		errs := make(chan error, 1)
		d := parley.Dialer{WaitFor: limit}
		go func() {
			c, err := d.Dial(t.Context(), address)
			if err == nil {
				err = errors.Join(echo(c, []byte("at last")), c.Close())
			}
			errs <- err
		}()
		select {
		case err := <-errs:
			t.Errorf("%s: did not wait: %v", address, err)
			continue
		case <-time.After(20 * time.Millisecond): // the dialler has found nobody, most likely; either way it must succeed
		}
		owner.Say("listen")
		if err := <-errs; err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if err := owner.Wait(); err != nil {
			t.Errorf("%s: the listener: %v", address, err)
		}
	}
}

// TestWaitForTakesOverAStaleName waits at what a killed listener left.
func TestWaitForTakesOverAStaleName(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", shortDir(t))
	first := proctest.Start(t, "server", "shm://again")
	first.Expect("shm://again")
	first.Kill()
	errs := make(chan error, 1)
	go func() {
		c, err := (&parley.Dialer{WaitFor: limit}).Dial(t.Context(), "shm://again")
		if err == nil {
			err = errors.Join(echo(c, []byte("again")), c.Close())
		}
		errs <- err
	}()
	second := proctest.Start(t, "server", "shm://again")
	second.Expect("shm://again")
	if err := <-errs; err != nil {
		t.Error(err)
	}
}

// TestWaitForOutlivesARestart: the listener ends while we are in its backlog,
// and another one comes.
func TestWaitForOutlivesARestart(t *testing.T) {
	path := shortDir(t) + "/s"
	first := backlog(t, path)
	errs := make(chan error, 1)
	go func() {
		c, err := (&parley.Dialer{WaitFor: limit}).Dial(t.Context(), "shm://"+path)
		if err == nil {
			err = errors.Join(echo(c, []byte("again")), c.Close())
		}
		errs <- err
	}()
	ready := []unix.PollFd{{Fd: int32(first), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, int(limit.Milliseconds())); n != 1 {
		t.Fatalf("nobody came: %v", err)
	}
	if err := errors.Join(unix.Close(first), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	second := proctest.Start(t, "server", "shm://"+path)
	second.Expect("shm://" + path)
	if err := <-errs; err != nil {
		t.Error(err)
	}
}

// backlog listens at path and never accepts.
func backlog(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 8))
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestWaitForGivesUp: with the kind of what it met, and how long it waited.
func TestWaitForGivesUp(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(shortDir(t), "later")) // not even the directory is there
	const wait = 50 * time.Millisecond
	for _, address := range []string{"shm://nobody", "unix://nobody", "inproc://nobody", "tcp://127.0.0.1:" + freePort(t), "fifo://" + shortDir(t) + "/f"} {
		start := time.Now()
		_, err := (&parley.Dialer{WaitFor: wait}).Dial(t.Context(), address)
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "after waiting 50ms") || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v; want unavailable, after waiting 50ms", address, err)
		}
		if took := time.Since(start); took < wait {
			t.Errorf("%s: gave up after %v", address, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err = (&parley.Dialer{WaitFor: time.Hour}).Dial(ctx, address)
		cancel()
		if !errors.Is(err, fault.Timeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, whose context ended: %v; want a time-out", address, err)
		}
	}
}

// TestWaitForDoesNotWaitForWhatCannotChange: a denial, a bad directory.
func TestWaitForDoesNotWaitForWhatCannotChange(t *testing.T) {
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARLEY_RUNTIME_DIR", dir)
	for _, address := range []string{"shm://x", "tcp://192.0.2.1:1", "shm://no-such-user@x"} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		_, err := (&parley.Dialer{WaitFor: time.Hour}).Dial(ctx, address)
		if err == nil || ctx.Err() != nil || errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v; want a refusal at once", address, err)
		}
		cancel()
	}
}
