// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/ring"
)

const capacity = 64

// pair is a ring whose memory is not mapped twice: the halves are made equal
// by hand.
type pair struct {
	mem        []byte
	tail, head atomic.Uint64
	p          *ring.Producer
	c          *ring.Consumer
}

func newPair(t rapid.TB, start uint64) *pair {
	t.Helper()
	r := &pair{mem: make([]byte, 2*capacity)}
	var err1, err2 error
	r.p, err1 = ring.NewProducer(r.mem, &r.tail, &r.head, start)
	r.c, err2 = ring.NewConsumer(r.mem, &r.head, &r.tail, start)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *pair) write(p []byte) {
	at := int(r.p.Tail() % capacity)
	copy(r.p.Next(), p)
	for i := range p { // what the second mapping does
		r.mem[(at+i)%capacity] = p[i]
		r.mem[(at+i)%capacity+capacity] = p[i]
	}
	r.p.Publish(len(p))
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint64{0, 1<<32 - 40, 1<<64 - 40, 1<<63 - 1}).Draw(t, "start")
		r := newPair(t, start)
		var model []byte
		next := byte(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "write") {
				free, err := r.p.Look()
				if err != nil || free != capacity-len(model) {
					t.Fatalf("free %d, %v; the model has %d", free, err, capacity-len(model))
				}
				p := make([]byte, rapid.IntRange(0, free).Draw(t, "n"))
				for i := range p {
					next++
					p[i] = next
				}
				r.write(p)
				model = append(model, p...)
				continue
			}
			have, err := r.c.Look()
			if err != nil || have != len(model) || r.c.Moved() {
				t.Fatalf("len %d, %v; the model has %d", have, err, len(model))
			}
			if !bytes.Equal(r.c.Next(), model) {
				t.Fatalf("%x, want %x", r.c.Next(), model)
			}
			n := rapid.IntRange(0, have).Draw(t, "n")
			r.c.Release(n)
			model = model[n:]
		}
	})
}

func TestEdges(t *testing.T) {
	r := newPair(t, 1<<64-3)
	r.write(make([]byte, capacity)) // exactly full
	if n := r.p.Free(); n != 0 || len(r.p.Next()) != 0 {
		t.Errorf("%d free in a full ring", n)
	}
	if have, err := r.c.Look(); have != capacity || err != nil {
		t.Errorf("%d, %v", have, err)
	}
	r.c.Release(0)
	r.c.Release(capacity)
	if have, err := r.c.Look(); have != 0 || err != nil {
		t.Errorf("%d, %v", have, err)
	}
	if !r.p.Moved() {
		t.Error("the producer does not see the release")
	}
	if free, err := r.p.Look(); free != capacity || err != nil {
		t.Errorf("%d, %v", free, err)
	}
}

func TestHostileCounters(t *testing.T) {
	for _, start := range []uint64{0, 1 << 32, 1<<64 - 5} {
		r := newPair(t, start)
		r.write(make([]byte, 10))
		if _, err := r.c.Look(); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []uint64{start + 9, start - 1, start + capacity + 1, start + 1<<63} {
			r.tail.Store(bad)
			if _, err := r.c.Look(); !errors.Is(err, fault.Protocol) {
				t.Errorf("start %d: the tail went to %d: %v", start, bad, err)
			}
			if r.c.Len() != 10 {
				t.Errorf("a bad tail was believed: %d", r.c.Len())
			}
		}
		for _, bad := range []uint64{start - 1, start + 11, start + 1<<63} {
			r.head.Store(bad)
			if _, err := r.p.Look(); !errors.Is(err, fault.Protocol) {
				t.Errorf("start %d: the head went to %d: %v", start, bad, err)
			}
			if r.p.Free() != capacity-10 {
				t.Errorf("a bad head was believed: %d", r.p.Free())
			}
		}
	}
}

// What is taken is the producer's only once it is released.
func TestTaken(t *testing.T) {
	r := newPair(t, 1<<64-4)
	r.p.Publish(10)
	if _, err := r.c.Look(); err != nil {
		t.Fatal(err)
	}
	r.c.Take(3)
	r.c.Take(4)
	if n, err := r.p.Look(); err != nil || n != capacity-10 || r.c.Owed() != 7 || r.c.Len() != 3 {
		t.Errorf("%d free, %v; %d owed, %d to read", n, err, r.c.Owed(), r.c.Len())
	}
	r.c.Release(1)
	if n, err := r.p.Look(); err != nil || n != capacity-2 || r.c.Owed() != 0 || r.c.Len() != 2 {
		t.Errorf("%d free, %v; %d owed, %d to read", n, err, r.c.Owed(), r.c.Len())
	}
}

func TestShape(t *testing.T) {
	var own, peer atomic.Uint64
	for _, n := range []int{0, 1, 6, 48} {
		if _, err := ring.NewProducer(make([]byte, n), &own, &peer, 0); !errors.Is(err, fault.Invalid) {
			t.Errorf("a producer of %d bytes: %v", n, err)
		}
		if _, err := ring.NewConsumer(make([]byte, n), &own, &peer, 0); !errors.Is(err, fault.Invalid) {
			t.Errorf("a consumer of %d bytes: %v", n, err)
		}
	}
}

// FuzzHostilePeer lets the peer publish what it likes: nothing is ever read or
// written outside the ring.
func FuzzHostilePeer(f *testing.F) {
	f.Add(uint64(0), uint64(1), uint64(2), uint64(3))
	f.Add(uint64(1<<64-1), uint64(capacity), uint64(capacity+1), uint64(1<<63))
	f.Fuzz(func(t *testing.T, start, a, b, c uint64) {
		r := newPair(t, start)
		for _, v := range []uint64{a, b, c, start + a%80, start + b%80} {
			r.tail.Store(v)
			r.head.Store(v)
			if n, err := r.c.Look(); err == nil {
				if n < 0 || n > capacity || len(r.c.Next()) != n {
					t.Fatalf("%d bytes to read", n)
				}
				r.c.Release(n / 2)
			}
			if n, err := r.p.Look(); err == nil {
				if n < 0 || n > capacity || len(r.p.Next()) != n {
					t.Fatalf("%d bytes to write", n)
				}
				r.p.Publish(n / 2)
			}
		}
	})
}
