// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
)

// joined returns both ends of a connection through a listener.
func joined(t testing.TB, dial, listen shm.Options) (d, l *shm.Conn) {
	t.Helper()
	addr := endpoint.Address{Scheme: endpoint.SHM, Path: filepath.Join(t.TempDir(), "s")}
	ln, err := shm.Listen(t.Context(), addr, shm.ListenConfig{Options: listen})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if d, err = shm.Dial(t.Context(), addr, shm.DialConfig{Options: dial}); err != nil {
		t.Fatal(err)
	}
	c, err := ln.AcceptConn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l = c.(*shm.Conn)
	t.Cleanup(func() { _ = d.Close(); _ = l.Close() })
	return d, l
}

// What is lent stays mapped after Close until it is given back, and not longer.
func TestLoanOutlivesClose(t *testing.T) {
	before := takeInventory(t)
	opts := shm.Options{Trusted: true, RingSize: testRing}
	a, b := joined(t, opts, opts)
	if _, err := b.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	room, err := a.Reserve(t.Context(), a.MaxLoan())
	if err != nil {
		t.Fatal(err)
	}
	seen, err := a.Peek(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range room {
		room[i] = 1 // would be a fault
	}
	if string(seen) != "hello" {
		t.Errorf("peeked %q", seen)
	}
	if n := takeInventory(t).maps; n == 0 {
		t.Error("the memory was unmapped under a loan")
	}
	if err := a.Commit(5); !errors.Is(err, fault.Closed) {
		t.Errorf("Commit after Close: %v", err)
	}
	if err := a.Discard(5); err != nil {
		t.Errorf("Discard after Close: %v", err)
	}
	if n := takeInventory(t).maps; n != before.maps {
		t.Errorf("%d mappings of rings are left, %d before", n, before.maps)
	}
	before.settled(t)
}

// Whoever waits for a loan can be called off like any other.
func TestWaitForLoanIsCalledOff(t *testing.T) {
	opts := shm.Options{Trusted: true, RingSize: testRing}
	a, b := joined(t, opts, opts)
	if _, err := b.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Peek(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Reserve(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if err := a.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 5)
	if _, err := a.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	if _, err := a.Write(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write: %v", err)
	}
	if err := a.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.ReadContext(ctx, p); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ReadContext: %v", err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, fault.Closed) {
				t.Errorf("Read: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := a.Write(make([]byte, 1)); !errors.Is(err, fault.Closed) {
				t.Errorf("Write: %v", err)
			}
		})
	}
	_ = a.Close()
	wg.Wait()
	if err := a.Discard(5); err != nil {
		t.Error(err)
	}
	if err := a.Commit(0); err != nil {
		t.Error(err)
	}
}

// Close at any moment of reads, writes and loans neither faults nor leaks.
func TestCloseAnytime(t *testing.T) {
	before := takeInventory(t)
	for i := range 150 {
		// Every third connection moves into its rings meanwhile; it has no Peek.
		opts := shm.Options{Trusted: i%3 != 0, RingSize: testRing, Budget: new(shm.Budget), Spin: []shm.Spin{shm.Auto, shm.Off}[i%2]}
		a, b := joined(t, opts, opts)
		var wg sync.WaitGroup
		var begun sync.WaitGroup
		for _, c := range []*shm.Conn{a, b} {
			begun.Add(4)
			wg.Go(func() { forever(&begun, func() error { _, err := c.Write(make([]byte, i*17)); return err }) })
			wg.Go(func() { forever(&begun, func() error { _, err := c.Read(make([]byte, 1000)); return err }) })
			wg.Go(func() {
				forever(&begun, func() error {
					p, err := c.Reserve(context.Background(), 100)
					if err == nil {
						p[99] = 1
						err = c.Commit(50)
					}
					return err
				})
			})
			wg.Go(func() {
				forever(&begun, func() error {
					p, err := c.Peek(context.Background(), 1)
					if len(p) > 0 {
						_ = p[len(p)-1]
						err = errors.Join(err, c.Discard(1))
					}
					return err
				})
			})
		}
		begun.Wait()
		if i%4 == 0 {
			_ = a.CloseWrite()
		}
		_ = a.Close()
		_ = b.Close()
		wg.Wait()
		if used := opts.Budget.Used(); used != 0 {
			t.Fatalf("%d bytes of the budget were not given back", used)
		}
		if n := a.Counters().SafetyTimeouts.Load() + b.Counters().SafetyTimeouts.Load(); n != 0 {
			t.Fatalf("round %d: %d safety time-outs: a wake-up was lost", i, n)
		}
	}
	before.settled(t)
}

func forever(begun *sync.WaitGroup, f func() error) {
	err := f()
	begun.Done()
	for err == nil {
		err = f()
	}
}

func TestBudget(t *testing.T) {
	const each = 2 * (testRing + 4096)
	budget := &shm.Budget{Max: 10 * each, PerIdentity: 2 * each}
	listen := shm.Options{Attach: shm.AtOnce, RingSize: testRing, Budget: budget, Counters: new(endpoint.Counters)}
	dial := shm.Options{Attach: shm.AtOnce, RingSize: testRing, Budget: new(shm.Budget)}
	var conns []*shm.Conn
	for i := range 4 {
		d, l := joined(t, dial, listen)
		conns = append(conns, d, l)
		if want := i < 2; d.Rings() != want || l.Rings() != want {
			t.Errorf("connection %d: rings %v and %v, want %v", i, d.Rings(), l.Rings(), want)
		}
		if want := uint64(0); i < 2 && l.Counters().Fallbacks.Load() != want {
			t.Errorf("%d fallbacks", l.Counters().Fallbacks.Load())
		}
		if i >= 2 && l.Counters().Fallbacks.Load() != 1 {
			t.Errorf("%d fallbacks of that listener, want 1", l.Counters().Fallbacks.Load())
		}
		if _, err := d.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 5)
		if _, err := io.ReadFull(l, p); err != nil || string(p) != "hello" {
			t.Errorf("%q, %v", p, err)
		}
	}
	if used := budget.Used(); used != 2*each {
		t.Errorf("%d bytes used, want %d", used, 2*each)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	if used := budget.Used(); used != 0 {
		t.Errorf("%d bytes used at the end", used)
	}
	if d, l := joined(t, dial, listen); !d.Rings() || !l.Rings() {
		t.Error("the budget did not come back")
	}
}

// Either side's lack of memory sends both to the socket.
func TestBudgetOfTheDialer(t *testing.T) {
	const each = testRing + 4096
	for name, most := range map[string]int64{"Nothing": 1, "OwnOnly": each} {
		t.Run(name, func(t *testing.T) {
			dial := shm.Options{Attach: shm.AtOnce, RingSize: testRing, Budget: &shm.Budget{Max: most}}
			listen := shm.Options{RingSize: testRing, Budget: new(shm.Budget)}
			d, l := joined(t, dial, listen)
			if d.Rings() || l.Rings() {
				t.Errorf("rings: %v and %v", d.Rings(), l.Rings())
			}
			if a, b := dial.Budget.Used(), listen.Budget.Used(); a != 0 || b != 0 {
				t.Errorf("budgets hold %d and %d bytes for nothing", a, b)
			}
			if err := d.CloseWrite(); err != nil {
				t.Error(err)
			}
			if _, err := l.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the end is %v", err)
			}
			_ = d.Close()
		})
	}
}

func TestBadRingSize(t *testing.T) {
	for _, size := range []int{-1, 1, 1000, shm.MinRingSize / 2, shm.MinRingSize + 1, 3 * shm.MinRingSize, shm.MaxRingSize + 1} {
		addr := endpoint.Address{Scheme: endpoint.SHM, Path: filepath.Join(t.TempDir(), "s")}
		_, err := shm.Listen(t.Context(), addr, shm.ListenConfig{Options: shm.Options{RingSize: size}})
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "power of two") {
			t.Errorf("%d: %v", size, err)
		}
	}
}

// A denied peer is told that it is denied, and nothing of the rule.
func TestDeniedIsTold(t *testing.T) {
	addr := endpoint.Address{Scheme: endpoint.SHM, Path: filepath.Join(t.TempDir(), "s")}
	deny := auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error {
		return fmt.Errorf("%w: rule 17 of secret.yaml", fault.Denied)
	})
	l, err := shm.Listen(t.Context(), addr, shm.ListenConfig{ListenConfig: transport.ListenConfig{Authorizer: deny}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range 50 {
		_, err = shm.Dial(t.Context(), addr, shm.DialConfig{})
		if !errors.Is(err, fault.Denied) || strings.Contains(err.Error(), "secret") {
			t.Fatalf("denied dialer got %v", err)
		}
	}
}

// An idle connection costs no goroutine and one descriptor on each side.
func TestIdleConnsCostNoGoroutine(t *testing.T) {
	const conns = 50
	opts := shm.Options{Attach: shm.AtOnce, RingSize: testRing, Budget: new(shm.Budget)}
	joined(t, opts, opts) // whatever starts once has started
	before := takeInventory(t)
	for range conns {
		joined(t, opts, opts)
	}
	limit := time.Now().Add(10 * time.Second)
	for {
		now := takeInventory(t)
		if now.goroutines <= before.goroutines && now.files <= before.files+2*conns {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("before: %+v, with %d connections: %+v", before, conns, now)
		}
	}
}

// Reader and writer of one connection sleep at once, and each is woken.
func TestBothSidesSleep(t *testing.T) {
	opts := shm.Options{RingSize: testRing, Spin: shm.Off}
	a, b := joined(t, opts, opts)
	big := make([]byte, 20*testRing)
	for range 20 {
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := a.Write(big); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := io.ReadFull(a, make([]byte, 1)); err != nil {
				t.Error(err)
			}
		})
		if _, err := io.ReadFull(b, big); err != nil {
			t.Error(err)
		}
		if _, err := b.Write([]byte{1}); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

// The largest loans on both sides cannot lock each other out, whatever is in
// the ring.
func TestLargestLoansMeet(t *testing.T) {
	for _, spin := range []shm.Spin{shm.Auto, shm.Off} {
		opts := shm.Options{Trusted: true, RingSize: testRing, Spin: spin}
		a, b := joined(t, opts, opts)
		const total = 50 * testRing
		var wg sync.WaitGroup
		wg.Go(func() {
			for sent := 0; sent < total; {
				p, err := a.Reserve(context.Background(), a.MaxLoan())
				if err != nil {
					t.Error(err)
					return
				}
				sent += len(p) - 1
				if err := a.Commit(len(p) - 1); err != nil {
					t.Error(err)
					return
				}
			}
			_ = a.CloseWrite()
		})
		for {
			p, err := b.Peek(context.Background(), b.MaxLoan())
			if err == io.EOF && len(p) == 0 {
				break
			}
			if err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if err := b.Discard(min(len(p), 1+len(p)/3)); err != nil {
				t.Fatal(err)
			}
		}
		wg.Wait()
	}
}

// The default ring shrinks as the budget fills, so that many find room.
func TestDefaultRingShrinks(t *testing.T) {
	opts := shm.Options{Attach: shm.AtOnce, Budget: &shm.Budget{PerIdentity: 16 << 20}}
	var loans []int
	for {
		d, _ := joined(t, opts, shm.Options{RingSize: shm.DefaultRingSize, Budget: new(shm.Budget)})
		if !d.Rings() {
			break
		}
		loans = append(loans, d.MaxLoan())
		if len(loans) > 1000 {
			t.Fatal("the budget has no end")
		}
	}
	if first := loans[0]; first < shm.MinRingSize/2 {
		t.Errorf("the first loan is %d", first)
	}
	for i := 1; i < len(loans); i++ {
		if loans[i] > loans[i-1] {
			t.Errorf("ring %d grew: %v", i, loans)
		}
	}
	roomy := func() shm.Options { return shm.Options{Attach: shm.AtOnce, Budget: new(shm.Budget)} } // as two processes have them
	if d, _ := joined(t, roomy(), roomy()); d.MaxLoan() != shm.DefaultRingSize/2 {
		t.Errorf("with plenty of budget a loan is %d", d.MaxLoan())
	}
}
