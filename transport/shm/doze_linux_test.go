// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
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

// sleeper is a read under way in a goroutine, whose result comes on got, and
// the word by which its owner was seen to sleep.
type sleeper struct {
	got    <-chan error
	cancel context.CancelFunc
	word   uint32
}

// asleep reads from c, whose peer has r, until that sleeps.
func asleep(t *testing.T, c *Conn, r *rings) sleeper {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := c.ReadContext(ctx, make([]byte, 1))
		got <- err
	}()
	return sleeper{got, cancel, awaitSleep(r)}
}

// awaitSleep returns the word of a reader once it sleeps. Another side's word:
// there is no event to wait for.
func awaitSleep(r *rings) uint32 {
	for {
		if word := pageOf(r.theirMap.Head).rsleep.Load(); word&sleepAny != 0 {
			return word
		}
		runtime.Gosched()
	}
}

// dozing is asleep until that dozes. A doze is short: one that has passed
// unseen is followed by another read.
func dozing(t *testing.T, c *Conn, r *rings) sleeper {
	t.Helper()
	for {
		warm(&c.out.Load().rd.half)
		s := asleep(t, c, r)
		if s.word&sleepKnock != 0 {
			return s
		}
		s.cancel()
		if err := <-s.got; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// rouseReader ends the sleep of a reader, which may have turned from a doze into a
// slumber, as an honest peer does that has published.
func rouseReader(t *testing.T, r *rings, sock *net.UnixConn) {
	t.Helper()
	if pageOf(r.theirMap.Head).rsleep.Load()&sleepKnock != 0 {
		p := pageOf(r.ownMap.Head)
		p.rknock.Add(1)
		futex.Wake(p.rknock, 1)
		return
	}
	if _, err := sock.Write(wakeUp); err != nil {
		t.Fatal(err)
	}
}

// Everything that ends a sleep on the socket ends a doze.
func TestDozeEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(c *Conn, r *rings, sock *net.UnixConn, cancel func())
		want error
	}{
		"knock": {func(_ *Conn, r *rings, sock *net.UnixConn, _ func()) {
			r.writer.Publish(1)
			rouseReader(t, r, sock)
		}, nil},
		"death":    {func(_ *Conn, _ *rings, sock *net.UnixConn, _ func()) { _ = sock.Close() }, fault.PeerDied},
		"close":    {func(c *Conn, _ *rings, _ *net.UnixConn, _ func()) { _ = c.Close() }, fault.Closed},
		"deadline": {func(c *Conn, _ *rings, _ *net.UnixConn, _ func()) { _ = c.SetReadDeadline(longAgo) }, fault.Timeout},
		"context":  {func(_ *Conn, _ *rings, _ *net.UnixConn, cancel func()) { cancel() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			c, r, sock := tampered(t, Options{RingSize: MinRingSize, Spin: Off}, io.Discard)
			s := dozing(t, c, r)
			defer s.cancel()
			test.end(c, r, sock, s.cancel)
			if err := <-s.got; !errors.Is(err, test.want) {
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
	c, r, sock := tampered(t, Options{RingSize: MinRingSize, Spin: Off}, io.Discard)
	s := dozing(t, c, r)
	defer s.cancel()
	for awaitSleep(r)&sleepKnock != 0 {
		runtime.Gosched()
	}
	r.writer.Publish(1)
	if _, err := sock.Write(wakeUp); err != nil {
		t.Fatal(err)
	}
	if err := <-s.got; err != nil {
		t.Error(err)
	}
}

// A knock that the peer forgot is found and counted.
func TestForgottenKnockCounts(t *testing.T) {
	c, r, sock := tampered(t, Options{RingSize: MinRingSize, Spin: Off}, io.Discard)
	wantForgotten(t, c, r, sock, dozing)
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
