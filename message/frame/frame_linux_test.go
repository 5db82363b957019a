// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/message/frame"
	"github.com/parley-ipc/parley/transport"
	shmconn "github.com/parley-ipc/parley/transport/shm"
	unixconn "github.com/parley-ipc/parley/transport/unix"
)

func TestMain(m *testing.M) {
	proctest.RunRole(map[string]proctest.Role{"viewer": roleViewer, "holder": roleHolder, "hostile": roleHostile})
	goleak.VerifyTestMain(proctest.Isolated(m))
}

const (
	name = "frame-test"
	size = 64 << 10
)

func background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(addr string) (transport.Conn, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	if a.Scheme == endpoint.SHM {
		return shmconn.Dial(context.Background(), a, shmconn.DialConfig{})
	}
	return unixconn.Dial(context.Background(), a, transport.DialConfig{})
}

// overSockets runs f with an address and its listener for each transport.
func overSockets(t *testing.T, f func(t *testing.T, l transport.Listener, addr string)) {
	for _, scheme := range []string{"unix", "shm"} {
		t.Run(scheme, func(t *testing.T) {
			addr := scheme + "://" + filepath.Join(t.TempDir(), "s")
			a, err := endpoint.Parse(addr)
			if err != nil {
				t.Fatal(err)
			}
			var l transport.Listener
			if scheme == "shm" {
				l, err = shmconn.Listen(t.Context(), a, shmconn.ListenConfig{})
			} else {
				l, err = unixconn.Listen(t.Context(), a, transport.ListenConfig{})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			f(t, l, addr)
		})
	}
}

func newPool(t *testing.T, cfg frame.Config) *frame.Pool {
	t.Helper()
	cfg.Size = size
	p, err := frame.NewPool(name, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func attach(t *testing.T, p *frame.Pool, l transport.Listener) *frame.Link {
	t.Helper()
	c, err := l.AcceptConn(background(t))
	if err != nil {
		t.Fatal(err)
	}
	link, err := p.Attach(c)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// filled takes a frame that says seq everywhere.
func filled(t *testing.T, p *frame.Pool, seq int) *frame.Frame {
	t.Helper()
	f, err := p.Take(background(t))
	if err != nil {
		t.Fatal(err)
	}
	b := f.Bytes()
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], uint64(seq)<<32+uint64(i))
	}
	return f
}

func check(v *frame.View, seq int) error {
	b := v.Bytes()
	if string(v.Note()) != strconv.Itoa(seq) || len(b) != size-seq%8*8 {
		return fmt.Errorf("note %q, %d bytes, want number %d", v.Note(), len(b), seq)
	}
	for i := 0; i+8 <= len(b); i += 8 {
		if got := binary.LittleEndian.Uint64(b[i:]); got != uint64(seq)<<32+uint64(i) {
			return fmt.Errorf("frame %d has %#x at %d", seq, got, i)
		}
	}
	return nil
}

func send(l *frame.Link, f *frame.Frame, seq int) error {
	return l.Send(f, size-seq%8*8, strconv.AppendInt(nil, int64(seq), 10))
}

// sendSoon waits for the release of an earlier frame that is on its way.
func sendSoon(t *testing.T, l *frame.Link, f *frame.Frame, seq int) {
	t.Helper()
	if err := l.Room(background(t)); err != nil {
		t.Fatal(err)
	}
	if err := send(l, f, seq); err != nil {
		t.Fatal(err)
	}
}

// roleViewer checks each frame, looks again after it has been told that it is
// kept, and says how many came and how many were mapped.
func roleViewer(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	r := frame.NewReceiver(c, frame.ReceiverConfig{})
	defer func() { _ = r.Close() }()
	var kept *frame.View // one is always held while the next arrive
	n, last := 0, 0
	for {
		v, err := r.Receive(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		seq, err := strconv.Atoi(string(v.Note()))
		if err == nil {
			err = check(v, seq)
		}
		if err != nil {
			return err
		}
		if kept != nil {
			if err := check(kept, last); err != nil {
				return fmt.Errorf("while it was held: %w", err)
			}
			if err := errors.Join(kept.Release(context.Background()), kept.Release(context.Background())); err != nil {
				return err
			}
		}
		kept, last = v, seq
		n++
		p.Sayf("seen %d", seq)
	}
	_, maps, err := proctest.Held("memfd:" + name)
	if err != nil {
		return err
	}
	p.Sayf("mapped %d", maps)
	if err := r.Close(); err != nil {
		return err
	}
	if err := check(kept, last); err != nil { // a view outlives its receiver
		return err
	}
	if err := kept.Release(context.Background()); err != nil {
		return err
	}
	fds, maps, err := proctest.Held("memfd:" + name)
	p.Sayf("left %d %d", fds, maps)
	return err
}

// roleHolder receives N frames, keeps them and waits.
func roleHolder(p *proctest.Self) error {
	c, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	r := frame.NewReceiver(c, frame.ReceiverConfig{})
	n, _ := strconv.Atoi(p.Args[1])
	for range n {
		if _, err := r.Receive(context.Background()); err != nil {
			return err
		}
	}
	p.Say("holding")
	_, err = p.Hear()
	return err
}

// roleHostile sends raw messages.
func roleHostile(p *proctest.Self) error {
	t, err := dial(p.Args[0])
	if err != nil {
		return err
	}
	c := message.NewConn(t, message.Config{LiveMemory: true})
	m, err := c.Receive(context.Background())
	if err != nil {
		return err
	}
	number := m.Bytes()[4]
	release := []byte{3, 1, 0, 0, number, 0, 0, 0}
	var bad [][]byte
	switch p.Args[1] {
	case "double":
		bad = [][]byte{release, release}
	case "never sent":
		bad = [][]byte{{3, 1, 0, 0, number + 1, 0, 0, 0}}
	case "huge":
		bad = [][]byte{{3, 1, 0, 0, 255, 255, 255, 255}}
	case "short":
		bad = [][]byte{release[:7]}
	case "version":
		bad = [][]byte{{3, 2, 0, 0, number, 0, 0, 0}}
	case "flood":
		bad = [][]byte{make([]byte, 1<<20)}
	}
	for _, b := range bad {
		if err := c.Send(context.Background(), b); err != nil {
			break
		}
	}
	p.Say("sent")
	_, err = c.Receive(context.Background())
	p.Sayf("ended %v", errors.Is(err, fault.Protocol) || errors.Is(err, fault.TooLarge) || errors.Is(err, fault.PeerDied))
	return nil
}

// TestFramesAreReused: contents hold while they are held, and each is made
// and mapped once.
func TestFramesAreReused(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener, addr string) {
		const count = 200
		p := newPool(t, frame.Config{Receivers: 2, PerReceiver: 2})
		var links []*frame.Link
		var viewers []*proctest.Process
		for range 2 {
			viewers = append(viewers, proctest.Start(t, "viewer", addr))
			links = append(links, attach(t, p, l))
		}
		for seq := range count {
			f := filled(t, p, seq)
			for _, link := range links {
				sendSoon(t, link, f, seq)
			}
			f.Release()
			for _, v := range viewers {
				v.Expect(fmt.Sprintf("seen %d", seq))
			}
		}
		if s := p.Stats(); s.Made > 6 || s.Taken != count || s.Sent != 2*count {
			t.Errorf("%+v", s)
		}
		made := p.Stats().Made
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if fds, maps, err := proctest.Held("memfd:" + name); fds != 0 || maps != 0 || err != nil {
			t.Errorf("the owner is left with %d descriptors and %d mappings", fds, maps)
		}
		for _, v := range viewers {
			var n int
			if _, err := fmt.Sscanf(v.Hear(), "mapped %d", &n); err != nil || n < 1 || n > made {
				t.Errorf("%d mapped of %d made, %v", n, made, err)
			}
			v.Expect("left 0 0")
			if err := v.Wait(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestReceiverKilled: what it held comes back.
func TestReceiverKilled(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener, addr string) {
		p := newPool(t, frame.Config{Own: 1, Receivers: 1, PerReceiver: 3})
		for range 3 {
			h := proctest.Start(t, "holder", addr, "3")
			link := attach(t, p, l)
			for seq := range 3 {
				f := filled(t, p, seq)
				if err := send(link, f, seq); err != nil {
					t.Fatal(err)
				}
				f.Release()
			}
			h.Expect("holding")
			if s := p.Stats(); link.Held() != 3 || s.Free != s.Made-3 {
				t.Fatalf("%d held, %+v", link.Held(), s)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := link.Room(ctx); !errors.Is(err, fault.Canceled) {
				t.Fatalf("room, with all held: %v", err)
			}
			waited := make(chan error)
			for range 2 {
				go func() { waited <- link.Room(background(t)) }()
			}
			h.Kill()
			for range 2 {
				if err := <-waited; !errors.Is(err, fault.Closed) {
					t.Errorf("room of the dead: %v", err)
				}
			}
			select {
			case <-link.Gone():
			case <-background(t).Done():
				t.Fatal("nobody noticed")
			}
			f := filled(t, p, 0)
			if err := send(link, f, 0); !errors.Is(err, fault.Closed) || link.Err() == nil {
				t.Errorf("%v, %v; want closed", err, link.Err())
			}
			f.Release()
			if s := p.Stats(); s.Free != s.Made || s.Links != 0 || s.Made > 4 {
				t.Errorf("%+v", s)
			}
			if err := link.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestStalledReceiver holds all that it may, and another sees every frame.
func TestStalledReceiver(t *testing.T) {
	overSockets(t, func(t *testing.T, l transport.Listener, addr string) {
		p := newPool(t, frame.Config{Own: 1, Receivers: 4, PerReceiver: 2})
		stalled := proctest.Start(t, "holder", addr, "1")
		slow := attach(t, p, l)
		var viewers []*proctest.Process
		var links []*frame.Link
		for range 3 {
			viewers = append(viewers, proctest.Start(t, "viewer", addr))
			links = append(links, attach(t, p, l))
		}
		const count = 50
		for seq := range count {
			f, err := p.TryTake() // never fails for want of frames
			if err != nil {
				t.Fatalf("at %d: %v", seq, err)
			}
			f.Release()
			f = filled(t, p, seq)
			if err := send(slow, f, seq); seq < 2 != (err == nil) || err != nil && !errors.Is(err, fault.Exhausted) {
				t.Fatalf("stalled, at %d: %v", seq, err)
			}
			for _, link := range links {
				sendSoon(t, link, f, seq)
			}
			f.Release()
			for _, v := range viewers {
				v.Expect(fmt.Sprintf("seen %d", seq))
			}
		}
		stalled.Expect("holding")
		if s := p.Stats(); slow.Held() != 2 || s.Refused != count-2 || s.Waited+s.Failed != 0 {
			t.Errorf("%d held, %+v", slow.Held(), s)
		}
	})
}

// TestHostileReceiver spoils its own link and nothing else.
func TestHostileReceiver(t *testing.T) {
	for _, how := range []string{"double", "never sent", "huge", "short", "version", "flood"} {
		t.Run(how, func(t *testing.T) {
			overSockets(t, func(t *testing.T, l transport.Listener, addr string) {
				p := newPool(t, frame.Config{})
				good := proctest.Start(t, "holder", addr, "1")
				goodLink := attach(t, p, l)
				bad := proctest.Start(t, "hostile", addr, how)
				badLink := attach(t, p, l)
				f := filled(t, p, 0)
				if err := errors.Join(send(goodLink, f, 0), send(badLink, f, 0)); err != nil {
					t.Fatal(err)
				}
				f.Release()
				good.Expect("holding")
				bad.Expect("sent")
				bad.Expect("ended true")
				select {
				case <-badLink.Gone():
				case <-background(t).Done():
					t.Fatal("nobody noticed")
				}
				if !errors.Is(badLink.Err(), fault.Protocol) && !errors.Is(badLink.Err(), fault.TooLarge) {
					t.Errorf("ended by %v", badLink.Err())
				}
				if s := p.Stats(); goodLink.Held() != 1 || goodLink.Err() != nil || s.Free != s.Made-1 {
					t.Errorf("the other holds %d, %v; %+v", goodLink.Held(), goodLink.Err(), s)
				}
			})
		})
	}
}
