// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
)

// crowd holds many connections of another process on one listener, each of
// which echoes before and after all are there, and logs what an idle one
// costs us.
func crowd(t *testing.T, b Backend) {
	n := fromEnv(t, "PARLEY_CONNS", 1000)
	l := listen(t, b, transport.ListenConfig{HandshakeTimeout: time.Minute})
	enoughDescriptors(t, n)
	before := measure()
	served := make(chan struct{})
	go func() { defer close(served); _ = serve(context.Background(), l, echoVerb) }()
	child := start(t, b, "crowd", l.Address().String(), strconv.Itoa(n))
	child.Expect("connected")
	after := measure()
	t.Logf("%d idle connections: each %d bytes resident (%d of Go's heap and stacks, %d shared), %.3f threads, %.1f goroutines, %.1f descriptors",
		n, (after.resident-before.resident)/n, (after.heap-before.heap)/n, (after.shared-before.shared)/n,
		float64(after.threads-before.threads)/float64(n), float64(after.goroutines-before.goroutines)/float64(n),
		float64(after.descriptors-before.descriptors)/float64(n))
	child.Say("again")
	child.Expect("echoed")
	child.Done()
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	closeNow(t, l)
	within(t, "the end of the crowd", served)
}

// cost is what a process uses, in bytes and numbers; what the system does not
// tell is 0.
type cost struct{ resident, shared, heap, threads, goroutines, descriptors int }

func measure() cost {
	var m runtime.MemStats
	debug.FreeOSMemory() // or what comes would fit in the garbage of what went
	runtime.ReadMemStats(&m)
	c := cost{heap: int(m.HeapInuse + m.StackInuse), goroutines: runtime.NumGoroutine()}
	for what, n := range held() {
		if len(what) > 10 && what[:10] == "descriptor" {
			c.descriptors += n
		}
	}
	c.system()
	return c
}

// crowdRole dials many times and keeps the connections.
func crowdRole(b Backend, p *proctest.Self) error {
	n, err := strconv.Atoi(arg(p, 1))
	if err != nil {
		return err
	}
	conns := make([]transport.Conn, n)
	err = inParallel(n, 16, func(i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		c, err := b.Dial(ctx, arg(p, 0), transport.DialConfig{HandshakeTimeout: limit})
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		conns[i] = c
		return exchange(c, noise(uint64(i), 200), noise(uint64(i), 200))
	})
	if err != nil {
		return err
	}
	p.Say("connected")
	if _, err := p.Hear(); err != nil {
		return err
	}
	err = inParallel(n, 16, func(i int) error {
		defer func() { _ = conns[i].Close() }()
		return exchange(conns[i], noise(uint64(i), 5000), noise(uint64(i), 5000))
	})
	if err != nil {
		return err
	}
	p.Say("echoed")
	_, _ = p.Hear()
	return nil
}

// inParallel runs f for 0 to n-1, at most width at a time, and returns the
// first error.
func inParallel(n, width int, f func(i int) error) error {
	var wg sync.WaitGroup
	slots, first := make(chan struct{}, width), make(chan error, 1)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f(i); err != nil {
				select {
				case first <- err:
				default:
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-first:
		return err
	default:
		return nil
	}
}
