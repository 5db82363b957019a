// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/futex"
)

// warm makes the next sleep of h a doze.
func warm(h *half) {
	for !h.pacer.Brief() {
		h.pacer.Slept(0)
	}
}

// dozing returns a connection whose reader dozes, in a goroutine whose result
// comes on the channel, and its peer laid open.
func dozing(t *testing.T, ctx context.Context) (*Conn, *rings, io.Closer, <-chan error) {
	t.Helper()
	c, r, sock := tampered(t, Options{RingSize: MinRingSize, Spin: Off}, io.Discard)
	warm(&c.out.Load().rd.half)
	got := make(chan error, 1)
	go func() {
		_, err := c.ReadContext(ctx, make([]byte, 1))
		got <- err
	}()
	awaitSleep(pageOf(r.theirMap.Head).rsleep, sleepAny|sleepKnock)
	return c, r, sock, got
}

// awaitSleep returns once the word says that its owner sleeps like that.
// Another side's word: there is no event to wait for.
func awaitSleep(word *atomic.Uint32, how uint32) {
	for word.Load()&(sleepAny|sleepKnock) != how {
		runtime.Gosched()
	}
}

// Everything that ends a sleep on the socket ends a doze.
func TestDozeEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(c *Conn, r *rings, sock io.Closer, cancel func())
		want error
	}{
		"knock": {func(_ *Conn, r *rings, _ io.Closer, _ func()) {
			r.writer.Publish(1)
			p := pageOf(r.ownMap.Head)
			p.rknock.Add(1)
			futex.Wake(p.rknock, 1)
		}, nil},
		"death":    {func(_ *Conn, _ *rings, sock io.Closer, _ func()) { _ = sock.Close() }, fault.PeerDied},
		"close":    {func(c *Conn, _ *rings, _ io.Closer, _ func()) { _ = c.Close() }, fault.Closed},
		"deadline": {func(c *Conn, _ *rings, _ io.Closer, _ func()) { _ = c.SetReadDeadline(longAgo) }, fault.Timeout},
		"context":  {func(_ *Conn, _ *rings, _ io.Closer, cancel func()) { cancel() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, r, sock, got := dozing(t, ctx)
			test.end(c, r, sock, cancel)
			if err := <-got; !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			_ = c.Close()
			if n := c.Counters().SafetyTimeouts.Load(); n != 0 {
				t.Errorf("%d safety time-outs", n)
			}
		})
	}
}

// Whoever is not woken from a doze goes on to sleep on the socket, where it
// holds no thread, and is woken there.
func TestDozeBecomesSlumber(t *testing.T) {
	_, r, sock, got := dozing(t, t.Context())
	awaitSleep(pageOf(r.theirMap.Head).rsleep, sleepAny)
	r.writer.Publish(1)
	if _, err := sock.(io.Writer).Write(wakeUp); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

// A knock that the peer forgot is found and counted.
func TestForgottenKnockCounts(t *testing.T) {
	c, r, _ := tampered(t, Options{RingSize: MinRingSize, Spin: Off}, io.Discard)
	wantForgotten(t, c, r, sleepAny|sleepKnock)
}

// Two that answer each other at once doze, and each is woken every time: with
// no other safety net, one lost knock would be counted.
func TestDozersWakeEachOther(t *testing.T) {
	opts := Options{Attach: AtOnce, RingSize: MinRingSize, Spin: Off}
	a, b := pair(t, opts, opts)
	const rounds = 3000
	go func() {
		_, _ = io.CopyN(b, b, rounds)
	}()
	buf := make([]byte, 1)
	for range rounds {
		if _, err := a.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(a, buf); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = a.Close(), b.Close()
	for _, c := range []*Conn{a, b} {
		if n := c.Counters().SafetyTimeouts.Load(); n != 0 {
			t.Errorf("%d safety time-outs", n)
		}
	}
}

// One context watches from sleep to sleep; another, or none, lets it go.
func TestVigil(t *testing.T) {
	var v vigil
	woken := make(chan string, 8)
	call := func(name string) func() { return func() { woken <- name } }
	first, cancelFirst := context.WithCancel(t.Context())
	second, cancelSecond := context.WithCancel(t.Context())
	defer cancelSecond()
	sleep := func(ctx context.Context, name string) { v.begin(ctx, call(name)); v.end(ctx) }
	sleep(first, "1")
	if v.stop != nil {
		t.Error("watched after one sleep")
	}
	sleep(first, "2")
	if v.stop == nil {
		t.Error("not watched between two sleeps")
	}
	sleep(first, "3")
	cancelFirst()
	if got := <-woken; got != "2" {
		t.Errorf("the watch of sleep %s woke", got)
	}
	sleep(second, "4")
	sleep(second, "5")
	sleep(context.Background(), "6")
	if v.stop != nil {
		t.Error("a context of earlier sleeps is still watched")
	}
	cancelSecond()
	v.begin(second, call("7")) // has ended already
	if got := <-woken; got != "7" {
		t.Errorf("%s woke", got)
	}
	v.end(second)
}
