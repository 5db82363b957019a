// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/message/frame"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
	unixconn "github.com/parley-ipc/parley/transport/unix"
)

// connected returns both ends of a connection that carries files.
func connected(t testing.TB) (a, b transport.Conn) {
	t.Helper()
	addr := "unix://" + t.TempDir() + "/s"
	at, err := endpoint.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := unixconn.Listen(t.Context(), at, transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if a, err = dial(addr); err != nil {
		t.Fatal(err)
	}
	if b, err = l.AcceptConn(background(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func wantWaited(t *testing.T, p *frame.Pool, n uint64) {
	t.Helper()
	for ctx := background(t); p.Stats().Waited < n; runtime.Gosched() {
		if ctx.Err() != nil {
			t.Fatal("nobody waits")
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	p := newPool(t, frame.Config{Own: 1, Receivers: 1, PerReceiver: 1})
	a, b := filled(t, p, 0), filled(t, p, 1)
	if _, err := p.TryTake(); !errors.Is(err, fault.Exhausted) {
		t.Fatalf("a third of two: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Take(ctx); !errors.Is(err, fault.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	taken := make(chan *frame.Frame)
	go func() {
		f, _ := p.Take(t.Context())
		taken <- f
	}()
	wantWaited(t, p, 2)
	first := &a.Bytes()[0]
	a.Release()
	a.Release() // the second frees nothing
	c := <-taken
	if c == nil || &c.Bytes()[0] != first {
		t.Fatal("what was released was not handed on")
	}
	if s := p.Stats(); s.Made != 2 || s.Free != 0 || s.Taken != 3 || s.Waited != 2 || s.Failed != 1 {
		t.Errorf("%+v", s)
	}
	b.Release()
	c.Release()
}

// TestPoolClosed: those who wait are told, and a frame that is held stays
// mapped until it is released.
func TestPoolClosed(t *testing.T) {
	p := newPool(t, frame.Config{Own: 1, Receivers: 1, PerReceiver: 1})
	a, b := filled(t, p, 0), filled(t, p, 1)
	b.Release()
	b = filled(t, p, 2)
	failed := make(chan error)
	go func() {
		_, err := p.Take(t.Context())
		failed <- err
	}()
	wantWaited(t, p, 1)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-failed; !errors.Is(err, fault.Closed) {
		t.Errorf("the waiting Take: %v", err)
	}
	if _, err := p.TryTake(); !errors.Is(err, fault.Closed) {
		t.Errorf("a new Take: %v", err)
	}
	x, _ := connected(t)
	if _, err := p.Attach(x); !errors.Is(err, fault.Closed) {
		t.Errorf("Attach: %v", err)
	}
	a.Bytes()[0] = 1 // still mapped
	if _, maps, err := proctest.Held("memfd:" + name); maps != 2 || err != nil {
		t.Errorf("%d mapped while 2 are held", maps)
	}
	a.Release()
	b.Release()
	if fds, maps, err := proctest.Held("memfd:" + name); fds != 0 || maps != 0 || err != nil {
		t.Errorf("%d descriptors and %d mappings are left", fds, maps)
	}
}

func TestMistakes(t *testing.T) {
	for _, cfg := range []frame.Config{{Size: -1}, {Own: -1}, {PerReceiver: frame.MaxFrames}, {Receivers: 1 << 30, PerReceiver: 1 << 30}, {Receivers: 1 << 6, PerReceiver: 1 << 6}} {
		if _, err := frame.NewPool(name, cfg); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	p, other := newPool(t, frame.Config{Receivers: 1}), newPool(t, frame.Config{})
	x, y := connected(t)
	l, err := p.Attach(x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Attach(y); !errors.Is(err, fault.Exhausted) {
		t.Errorf("one receiver too many: %v", err)
	}
	f, foreign, gone := filled(t, p, 0), filled(t, other, 0), filled(t, p, 0)
	defer f.Release()
	defer foreign.Release()
	gone.Release()
	for what, got := range map[string]struct{ err, want error }{
		"too long":  {l.Send(f, size+1, nil), fault.TooLarge},
		"negative":  {l.Send(f, -1, nil), fault.TooLarge},
		"long note": {l.Send(f, 1, make([]byte, frame.MaxNote+1)), fault.TooLarge},
		"foreign":   {l.Send(foreign, 1, nil), fault.Invalid},
		"released":  {l.Send(gone, 1, nil), fault.Invalid},
	} {
		if !errors.Is(got.err, got.want) {
			t.Errorf("%s: %v, want %v", what, got.err, got.want)
		}
	}
	if err := errors.Join(l.Send(f, size, make([]byte, frame.MaxNote)), l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if err := l.Send(f, 1, nil); !errors.Is(err, fault.Closed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := p.Attach(y); err != nil {
		t.Errorf("after one left: %v", err)
	}
}

// TestHostileOwner: a receiver refuses what breaks the rules, and lets go of
// all that it was sent.
func TestHostileOwner(t *testing.T) {
	lend := func(op, number byte, length uint16) []byte {
		return []byte{op, 1, 0, 0, number, 0, 0, 0, byte(length), byte(length >> 8), 0, 0, 0, 0, 0, 0}
	}
	type step struct {
		memory bool
		p      []byte
	}
	first := step{true, lend(1, 0, 10)}
	for name, row := range map[string]struct {
		steps []step
		want  fault.Kind
	}{
		"unknown":           {[]step{{false, lend(2, 0, 10)}}, fault.Protocol},
		"no memory":         {[]step{{false, lend(1, 0, 10)}}, fault.Protocol},
		"memory again":      {[]step{{true, lend(2, 0, 10)}}, fault.Protocol},
		"first twice":       {[]step{first, first}, fault.Protocol},
		"held":              {[]step{first, {false, lend(2, 0, 10)}}, fault.Protocol},
		"too long":          {[]step{{true, lend(1, 0, 1025)}}, fault.Protocol},
		"number":            {[]step{{true, lend(1, 3, 10)}}, fault.Protocol},
		"short":             {[]step{{true, lend(1, 0, 10)[:15]}}, fault.Protocol},
		"empty":             {[]step{{false, nil}}, fault.Protocol},
		"version":           {[]step{{true, append([]byte{1, 2}, lend(1, 0, 10)[2:]...)}}, fault.Protocol},
		"a release":         {[]step{{false, []byte{3, 1, 0, 0, 0, 0, 0, 0}}}, fault.Protocol},
		"long note":         {[]step{{true, append(lend(1, 0, 10), make([]byte, 257)...)}}, fault.TooLarge},
		"beyond its memory": {[]step{first, {true, lend(1, 1, 10)}, {true, lend(1, 2, 10)}}, fault.Exhausted},
	} {
		t.Run(name, func(t *testing.T) {
			x, y := connected(t)
			r := frame.NewReceiver(y, frame.ReceiverConfig{MaxFrames: 3, MaxMemory: 2 * 1024})
			c := message.NewConn(x, message.Config{})
			for _, s := range row.steps {
				if err := sendRaw(c, s.memory, s.p); err != nil {
					t.Fatal(err)
				}
			}
			told := make(chan error, 1)
			go func() {
				_, err := c.Receive(background(t))
				_ = c.Close()
				told <- err
			}()
			var err error
			for n := 0; err == nil; n++ {
				if n == len(row.steps) {
					t.Fatal("all was believed")
				}
				_, err = r.Receive(background(t)) // the views are never released
			}
			if !errors.Is(err, row.want) {
				t.Errorf("%v, want %v", err, row.want)
			}
			if err := <-told; !errors.Is(err, row.want) {
				t.Errorf("the owner was told %v, want %v", err, row.want)
			}
			if _, err := r.Receive(background(t)); err == nil {
				t.Error("it goes on")
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// sendRaw sends p with live memory of 1 KiB or without.
func sendRaw(c *message.Conn, memory bool, p []byte) error {
	if !memory {
		return c.Send(context.Background(), p)
	}
	m, err := shm.NewMemory("hostile", 1024)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	if err := m.SealLive(); err != nil {
		return err
	}
	return c.SendMemory(context.Background(), m, p)
}
