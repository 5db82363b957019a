// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/cgroup"
	"github.com/parley-ipc/parley/internal/proctest"
	kernel "github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport/shm"
)

const (
	groupLimit = 64 << 20  // what the child's group may use
	groupRing  = 4 << 20   // what the child takes at a time
	groupMost  = 112 << 20 // where it gives up: far too late
)

// hoard takes memory until take says that there is no more.
func hoard(take func() (more bool, err error)) (int, error) {
	for taken := 0; taken < groupMost; taken += groupRing {
		if more, err := take(); err != nil || !more {
			return taken, err
		}
	}
	return 0, fmt.Errorf("%d bytes in a group of %d", groupMost, groupLimit)
}

// hoardRole takes segments, or connections to Args[1], until it is refused,
// and says so; it must then still be able to allocate.
func hoardRole(p *proctest.Self) error {
	takes := map[string]func(*proctest.Self) (int, error){
		"segments": hoardSegments, "connections": hoardConnections, "received": receiveHoles,
	}
	taken, err := takes[p.Args[0]](p)
	if err != nil {
		return err
	}
	heap := make([]byte, 1<<20) // a few times that under the race detector
	for i := range heap {
		heap[i] = byte(i)
	}
	p.Sayf("refused after %d", taken)
	_, _ = p.Hear()
	return nil
}

// refusal is nil if err is an exhaustion that says what to do.
func refusal(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Exhausted || e.Hint == "" {
		return fmt.Errorf("%w, want an exhaustion that says what to do", err)
	}
	return nil
}

func hoardSegments(*proctest.Self) (int, error) {
	return hoard(func() (bool, error) {
		_, err := kernel.Create("hoard", groupRing) // kept, as rings are
		if err != nil {
			return false, refusal(err)
		}
		return true, nil
	})
}

// receiveHoles is offered, as descriptor 3, more than the group may use.
func receiveHoles(*proctest.Self) (int, error) {
	if _, err := kernel.Receive(3, groupMost); err != nil {
		return 0, refusal(err)
	}
	return 0, errors.New("it was received")
}

func hoardConnections(p *proctest.Self) (int, error) {
	addr, err := endpoint.Parse(p.Args[1])
	if err != nil {
		return 0, err
	}
	counters := new(endpoint.Counters)
	var conns []*shm.Conn
	n, err := hoard(func() (bool, error) {
		opts := shm.Options{Attach: shm.AtOnce, RingSize: groupRing, Budget: new(shm.Budget), Counters: counters}
		c, err := shm.Dial(context.Background(), addr, shm.DialConfig{Options: opts})
		if err != nil {
			return false, err
		}
		conns = append(conns, c)
		return c.Rings(), nil
	})
	if err != nil {
		return n, err
	}
	if fell := counters.Fallbacks.Load(); fell != 1 {
		return n, fmt.Errorf("%d fallbacks, want 1", fell)
	}
	for _, c := range conns { // the last one on its socket
		if err := errors.Join(echo(c, 1), c.Close()); err != nil {
			return n, err
		}
	}
	return n, nil
}

// echo sends a byte to a peer that sends it back, n times.
func echo(c *shm.Conn, n int) error {
	b := make([]byte, 1)
	for range n {
		if _, err := c.Write(b); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
	}
	return nil
}

// echoServer listens with rings as small as can be and returns its address.
func echoServer(t *testing.T) string {
	t.Helper()
	addr := endpoint.Address{Scheme: endpoint.SHM, Path: filepath.Join(t.TempDir(), "s")}
	opts := shm.Options{RingSize: shm.MinRingSize, Budget: new(shm.Budget)}
	l, err := shm.Listen(t.Context(), addr, shm.ListenConfig{Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptConn(context.Background())
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }() // ends with the child, which ends first
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return addr.String()
}

// holes is a sealed memory file that has size and no page.
func holes(t *testing.T, size int64) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("holes", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "holes")
	t.Cleanup(func() { _ = f.Close() })
	if err := unix.Ftruncate(fd, size); err != nil {
		t.Fatal(err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return f
}

// In a memory group at its limit the kernel kills who asks for more, and never
// says no: we must, before, and leave the program room to live.
func TestLiveMemoryLimit(t *testing.T) {
	for _, what := range []string{"segments", "connections", "received"} {
		t.Run(what, func(t *testing.T) {
			g := proctest.MemoryGroup(t, groupLimit)
			o := proctest.Options{Role: "hoard", Args: []string{what}, Prefix: g.Prefix()}
			switch what {
			case "connections":
				o.Args = append(o.Args, echoServer(t))
			case "received":
				o.ExtraFiles = []*os.File{holes(t, groupMost)}
			}
			p := proctest.StartWith(t, o)
			var taken int
			if said := p.Hear(); !scan(said, &taken) {
				t.Fatalf("the child said %q", said)
			}
			if what != "received" && (taken < groupLimit/4 || taken > groupLimit) {
				t.Errorf("refused after %d bytes in a group of %d", taken, groupLimit)
			}
			p.Done()
			if err := p.Wait(); err != nil {
				t.Error(err)
			}
			if n := g.Killed(); n != 0 {
				t.Errorf("the kernel killed %d processes", n)
			}
		})
	}
}

func scan(said string, taken *int) bool {
	n, err := fmt.Sscanf(said, "refused after %d", taken)
	return n == 1 && err == nil
}

// spinRole echoes with Args[0], and says whether it spun and slept. It goes on
// until it has done what it must: by Args[1] sleep, under a quota, or spin. An
// answer that is there already needs neither.
func spinRole(p *proctest.Self) error {
	addr, err := endpoint.Parse(p.Args[0])
	if err != nil {
		return err
	}
	c, err := shm.Dial(context.Background(), addr, shm.DialConfig{Options: shm.Options{Budget: new(shm.Budget)}})
	if err != nil {
		return err
	}
	n := c.Counters()
	for limit := time.Now().Add(20 * time.Second); ; {
		if err := echo(c, 2000); err != nil {
			return err
		}
		due := &n.Spins
		if p.Args[1] == "quota" {
			due = &n.Sleeps
		}
		if due.Load() > 0 || time.Now().After(limit) {
			break
		}
	}
	err = c.Close() // counts what is left
	p.Sayf("rings %t spun %t slept %t", c.Rings(), n.Spins.Load() > 0, n.Sleeps.Load() > 0)
	return err
}

// With half a processor a spinner stalls for the rest of each period: a side
// that waits sleeps at once. The same program without the quota spins.
func TestLiveQuotaSleeps(t *testing.T) {
	t.Run("HalfProcessor", func(t *testing.T) {
		p := proctest.StartWith(t, proctest.Options{Role: "spin", Args: []string{echoServer(t), "quota"}, Prefix: proctest.CPUGroup(t, 0.5).Prefix()})
		p.Expect("rings true spun false slept true")
	})
	t.Run("NoQuota", func(t *testing.T) {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			t.Fatal(err)
		}
		if quota, limited := cgroup.CPUQuota(); set.Count() < 2 || limited && quota < 2 {
			t.Skip("needs two processors and a quota for them")
		}
		p := proctest.Start(t, "spin", echoServer(t), "none")
		var slept bool
		said := p.Hear()
		if n, err := fmt.Sscanf(said, "rings true spun true slept %t", &slept); n != 1 || err != nil {
			t.Errorf("the child said %q", said)
		}
	})
}
