// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
)

const (
	fewConns   = 300
	maxThreads = 50
)

// footprint is what this process uses.
type footprint struct{ descriptors, threads, resident, shared int }

func footprintNow() (f footprint, err error) {
	fds, err := proctest.OpenFiles()
	if err != nil {
		return f, err
	}
	f.descriptors = len(fds)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(string(status)) {
		word := strings.Fields(line)
		for name, to := range map[string]*int{"Threads:": &f.threads, "VmRSS:": &f.resident, "RssShmem:": &f.shared} {
			if word[0] == name {
				if *to, err = strconv.Atoi(word[1]); err != nil {
					return f, err
				}
			}
		}
	}
	return f, nil
}

// check says what n idle connections must not have cost since before.
func (f footprint) check(before footprint, n int) error {
	if f.threads >= maxThreads {
		return fmt.Errorf("%d threads for %d idle connections", f.threads, n)
	}
	if more := f.descriptors - before.descriptors; more > n+8 {
		return fmt.Errorf("%d descriptors for %d idle connections", more, n)
	}
	return nil
}

// idleRole makes Args[1] connections to Args[0], each of which echoes once, and
// says what they cost.
func idleRole(p *proctest.Self) error {
	addr, err := endpoint.Parse(p.Args[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(p.Args[1])
	if err != nil {
		return err
	}
	before, err := footprintNow()
	if err != nil {
		return err
	}
	conns := make([]*shm.Conn, n)
	one := make([]byte, 1)
	for i := range conns {
		if conns[i], err = shm.Dial(context.Background(), addr, shm.DialConfig{}); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		if err := echoed(conns[i], one); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	now, err := footprintNow()
	if err == nil {
		err = now.check(before, n)
	}
	if err != nil {
		return err
	}
	p.Say("idle")
	if _, err := p.Hear(); err != nil {
		return err
	}
	for i, c := range conns { // they still work
		if err := echoed(c, one); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	p.Say("echoed")
	_, _ = p.Hear()
	return nil
}

func echoed(c *shm.Conn, p []byte) error {
	if _, err := c.Write(p); err != nil {
		return err
	}
	_, err := io.ReadFull(c, p)
	return err
}

// Many idle connections between two processes cost one descriptor each and few
// threads, on both sides, and have no rings.
// PARLEY_CONNS says how many: 10000 by hand.
func TestManyIdle(t *testing.T) {
	n := fewConns
	if s := os.Getenv("PARLEY_CONNS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if need := uint64(n + 100); limit.Max < need { //nolint:gosec // a count
		limit.Cur, limit.Max = need, need
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Skipf("%d descriptors are needed: %v", need, err)
		}
	}
	address := "shm://" + filepath.Join(t.TempDir(), "s")
	addr, err := endpoint.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	counters := new(endpoint.Counters)
	l, err := shm.Listen(t.Context(), addr, shm.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := footprintNow()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var rings atomic.Int64
	wg.Go(func() {
		for range n {
			c, err := l.AcceptConn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			own := c.(*shm.Conn)
			counters = own.Counters()
			wg.Go(func() {
				echoAll(own)
				if own.Rings() {
					rings.Add(1)
				}
			})
		}
	})
	child := proctest.Start(t, "idle", address, strconv.Itoa(n))
	child.Expect("idle")
	now, err := footprintNow()
	if err != nil {
		t.Fatal(err)
	}
	if err := now.check(before, n); err != nil {
		t.Error(err)
	}
	t.Logf("%d idle connections: %d threads; each %d bytes resident, of it %d shared", n, now.threads,
		(now.resident-before.resident)<<10/n, (now.shared-before.shared)<<10/n)
	child.Say("again")
	child.Expect("echoed")
	child.Done()
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if r, f := rings.Load(), counters.Fallbacks.Load(); r != 0 || f != 0 {
		t.Errorf("%d had rings, %d were refused them, of %d that were idle", r, f, n)
	}
	if s := counters.SafetyTimeouts.Load(); s != 0 {
		t.Errorf("%d safety time-outs", s)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// echoAll answers what comes with itself, from a buffer as small as it is.
func echoAll(c transport.Conn) {
	defer func() { _ = c.Close() }()
	p := make([]byte, 1)
	for {
		if _, err := c.Read(p); err != nil {
			return
		}
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

// Prefault maps both rings at once, the default at first use.
func TestPrefault(t *testing.T) {
	const ring = 1 << 20
	mapped := func(prefault bool) int {
		before, err := footprintNow()
		if err != nil {
			t.Fatal(err)
		}
		opts := shm.Options{Attach: shm.AtOnce, RingSize: ring, Prefault: prefault}
		joined(t, opts, shm.Options{RingSize: ring})
		after, err := footprintNow()
		if err != nil {
			t.Fatal(err)
		}
		return (after.shared - before.shared) << 10
	}
	if n := mapped(false); n >= ring {
		t.Errorf("%d bytes are mapped before they are used", n)
	}
	if n := mapped(true); n < 2*ring {
		t.Errorf("%d bytes are mapped, less than the two rings of %d", n, ring)
	}
}
