// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// evilPage is a control page in the hands of somebody hostile.
func evilPage(t testing.TB, p *Publisher) (controls, *shm.Segment) {
	t.Helper()
	seg, err := shm.Create("evil", ControlSize())
	if err != nil {
		t.Fatal(err)
	}
	m, err := seg.MapTwice(0, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Unmap(); _ = seg.Close() })
	if err := seg.Seal(); err != nil {
		t.Fatal(err)
	}
	c := controlsOf(m.Tail)
	c.epoch.Store(p.w.epoch.Load())
	c.magic.Store(controlMagic)
	return c, seg
}

func TestHostileControlPage(t *testing.T) {
	far := []uint64{1, 1 << 40, 1 << 63, 1<<64 - 1, 1<<64 - 1<<14}
	for _, policy := range []Policy{Lossy, Latest, Reliable} {
		for _, floor := range far {
			p := publisher(t, Config{})
			honest := subscribe(t, p, SubscribeConfig{Policy: Reliable})
			attach(t, p, honest, Terms{Patience: 20 * time.Second})
			c, seg := evilPage(t, p)
			woken := 0
			var told error
			h, err := p.Attach(dup(t, seg), Terms{Name: "evil", Policy: policy, Patience: time.Millisecond, Wake: func() { woken++ }, Dropped: func(_ *Handle, why error) { told = why }})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				c.sleep.Store(uint32(2*i + 1))
				c.cursor.Store(floor)
				c.floor.Store(floor + uint64(i%3))
				mustPublish(t, p, make([]byte, 1000))
				if rec, lost, err := honest.Next(now()); err != nil || rec.Seq != uint64(i) || lost != 0 {
					t.Fatalf("%v, %d: the honest got %d, gap %d, %v", policy, floor, rec.Seq, lost, err)
				}
				if lag := h.Lag(); lag < 0 || lag > p.Ring() {
					t.Errorf("a lag of %d", lag)
				}
			}
			if dropped := h.Err() != nil; dropped != (policy == Reliable) || woken > 101 {
				t.Errorf("%v, %d: %v, woken %d times", policy, floor, h.Err(), woken)
			}
			if policy == Reliable && !errors.Is(told, fault.Timeout) && !errors.Is(told, fault.Protocol) {
				t.Errorf("told %v", told)
			}
		}
	}
}

func TestWrongPages(t *testing.T) {
	p := publisher(t, Config{})
	other := publisher(t, Config{Epoch: 4})
	s := subscribe(t, other, SubscribeConfig{})
	if _, err := p.Attach(dup(t, s.Control()), Terms{}); !errors.Is(err, fault.Protocol) {
		t.Errorf("a page for another epoch: %v", err)
	}
	if _, err := p.Attach(dup(t, p.Segment()), Terms{}); !errors.Is(err, fault.Protocol) {
		t.Errorf("our own segment: %v", err)
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Attach(null, Terms{}); !errors.Is(err, fault.Protocol) {
		t.Errorf("no memory: %v", err)
	}
	if _, err := Subscribe(dup(t, p.Segment()), 2*p.Ring(), SubscribeConfig{}); !errors.Is(err, fault.Protocol) {
		t.Errorf("another size: %v", err)
	}
	if _, err := Subscribe(dup(t, p.Segment()), p.Ring(), SubscribeConfig{Last: -1}); !errors.Is(err, fault.Invalid) {
		t.Errorf("the last -1: %v", err)
	}
	for fd := range 3 { // what a peer could have us close
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
	if _, err := unix.Mmap(p.Segment().FD(), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("a subscriber could map the segment for writing")
	}
}

func TestTamperedSegment(t *testing.T) {
	for name, tamper := range map[string]func(p *Publisher){
		"TailBack":        func(p *Publisher) { p.w.tail.Store(1<<64 - 8) },
		"TailUneven":      func(p *Publisher) { p.w.tail.Add(3) },
		"TailAlone":       func(p *Publisher) { p.w.tail.Add(8) },
		"TailFarLastBack": func(p *Publisher) { p.w.tail.Add(1 << 40); p.w.last.Add(1 << 62) },
		"LastUneven":      func(p *Publisher) { p.w.tail.Add(1 << 40); p.w.last.Store(1<<40 - 5) },
		"Length": func(p *Publisher) {
			header{length: 1<<32 - 1, seq: 1}.put(p.data[p.tail&(p.ring-1):])
			p.w.tail.Add(1024)
		},
		"LengthPastTail": func(p *Publisher) { header{length: 4000, seq: 1}.put(p.data[p.tail&(p.ring-1):]); p.w.tail.Add(1024) },
		"Number":         func(p *Publisher) { header{length: 8, seq: 9}.put(p.data[p.tail&(p.ring-1):]); p.w.tail.Add(32) },
	} {
		t.Run(name, func(t *testing.T) {
			p := publisher(t, Config{})
			s, b := subscribe(t, p, SubscribeConfig{Spin: Off}), subscribe(t, p, SubscribeConfig{Spin: Off})
			mustPublish(t, p, make([]byte, 100))
			for _, s := range []*Subscriber{s, b} {
				if _, _, err := s.Next(now()); err != nil {
					t.Fatal(err)
				}
			}
			tamper(p)
			for range 2 { // the second time finds it broken already
				if _, _, err := s.Next(limited(t)); !errors.Is(err, fault.Protocol) {
					t.Errorf("Next: %v", err)
				}
				if _, _, err := b.Borrow(limited(t)); !errors.Is(err, fault.Protocol) {
					t.Errorf("Borrow: %v", err)
				}
			}
		})
	}
}

// A publisher that claims everything all the time costs a reader neither the
// processor nor its way out.
func TestForEverOvertaken(t *testing.T) {
	p := publisher(t, Config{})
	s := subscribe(t, p, SubscribeConfig{})
	mustPublish(t, p, make([]byte, 100))
	p.w.intent.Store(1 << 50)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := s.Next(ctx); !errors.Is(err, fault.Timeout) {
		t.Errorf("%v", err)
	}
	if _, err := Subscribe(dup(t, p.Segment()), p.Ring(), SubscribeConfig{Last: 1}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("joining: %v", err)
	}
}

func word(v byte) uint64 {
	if v&1 == 0 {
		return uint64(v) * 64
	}
	return uint64(v) * 0x0101010101010101
}

// FuzzControl runs a script of a hostile subscriber's writes between
// publications.
func FuzzControl(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 2, 3, 3, 9, 0, 200, 1, 201}, uint8(2))
	f.Add([]byte{1, 2, 1, 0, 1, 255}, uint8(0))
	f.Fuzz(func(t *testing.T, script []byte, policy uint8) {
		p := publisher(t, Config{})
		honest := subscribe(t, p, SubscribeConfig{})
		c, seg := evilPage(t, p)
		if _, err := p.Attach(dup(t, seg), Terms{Policy: Policy(policy % 3), Patience: time.Millisecond, Wake: func() {}}); err != nil {
			t.Fatal(err)
		}
		published := uint64(0)
		for ; len(script) >= 2 && published < 200; script = script[2:] {
			switch v := word(script[1]); script[0] % 4 {
			case 0:
				c.cursor.Store(v)
			case 1:
				c.floor.Store(v)
			case 2:
				c.sleep.Store(uint32(v))
			case 3:
				c.state.Store(uint32(v))
			}
			mustPublish(t, p, make([]byte, 2000))
			published++
		}
		total := uint64(0)
		for {
			_, lost, err := honest.Next(now())
			if err != nil {
				break
			}
			total += 1 + lost
		}
		if total != published {
			t.Fatalf("%d of %d", total, published)
		}
	})
}

// FuzzSegment runs a script of a hostile publisher's writes between reads.
func FuzzSegment(f *testing.F) {
	f.Add([]byte{0, 2, 9, 0, 1, 8, 9, 1, 5, 7, 9, 2}, uint8(0))
	f.Add([]byte{6, 3, 0, 200, 1, 150, 9, 0, 9, 1}, uint8(1))
	f.Add([]byte{8, 40, 8, 40, 7, 255, 9, 3, 4, 1, 9, 0}, uint8(2))
	f.Fuzz(func(t *testing.T, script []byte, policy uint8) {
		p := publisher(t, Config{})
		mustPublish(t, p, make([]byte, 100))
		s := subscribe(t, p, SubscribeConfig{Policy: Policy(policy % 3), Last: int(policy), Spin: Off})
		for ; len(script) >= 2; script = script[2:] {
			fuzzStep(t, p, s, script[0]%10, script[1])
		}
	})
}

func fuzzStep(t *testing.T, p *Publisher, s *Subscriber, op, v byte) {
	t.Helper()
	switch op {
	case 0:
		p.w.tail.Store(word(v))
	case 1:
		p.w.last.Store(word(v))
	case 2:
		p.w.intent.Store(word(v))
	case 3:
		p.w.state.Store(uint32(v))
	case 4:
		p.w.sleep.Store(uint32(word(v)))
		p.w.until.Store(word(v))
	case 5:
		p.w.start.Store(word(v))
	case 6, 7:
		header{length: uint32(word(v)), back: uint32(word(v ^ 8)), seq: word(v ^ 1)}.put(p.data[int(v)*8%MinRing:])
	case 8:
		p.w.tail.Add(uint64(v) * 8)
		p.w.intent.Add(uint64(v) * 8)
	case 9:
		fuzzRead(t, p, s, v)
	}
}

func fuzzRead(t *testing.T, p *Publisher, s *Subscriber, v byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
	defer cancel()
	look := s.Next
	if v&1 == 1 {
		look = s.Borrow
	}
	rec, _, err := look(ctx)
	for i := range rec.Bytes {
		_ = rec.Bytes[i]
	}
	s.Release()
	if err != nil && !errors.Is(err, fault.Protocol) && !errors.Is(err, fault.Timeout) && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	late, err := Subscribe(dup(t, p.Segment()), p.Ring(), SubscribeConfig{Last: int(v)})
	if err == nil {
		_ = late.Close()
	} else if !errors.Is(err, fault.Protocol) && !errors.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
}
