// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func newBed() *Bed { return &Bed{Word: new(atomic.Uint32)} }

// A kick is never lost, whenever it comes.
func TestKickEndsSleep(t *testing.T) {
	b := newBed()
	if !b.Enter() {
		t.Fatal("no place")
	}
	defer b.Leave()
	for range 2000 {
		turn := b.Turn()
		done := make(chan struct{})
		go func() {
			b.Kick()
			close(done)
		}()
		for b.Turn() == turn { // may end for no reason
			if _, rested := b.Sleep(0, turn); !rested {
				t.Fatal("cannot sleep here")
			}
		}
		<-done
	}
}

func TestWordEndsSleep(t *testing.T) {
	b := newBed()
	if !b.Enter() {
		t.Fatal("no place")
	}
	defer b.Leave()
	for v := range uint32(2000) {
		go func() {
			b.Word.Add(1)
			Wake(b.Word, 1)
		}()
		for b.Word.Load() == v {
			b.Sleep(v, b.Turn())
		}
	}
}

// The watch ends a sleep that nobody else ends, and goes home when all beds
// are empty.
func TestWatch(t *testing.T) {
	b := newBed()
	if !b.Enter() {
		t.Fatal("no place")
	}
	for overslept := false; !overslept; { // else for no reason
		overslept, _ = b.Sleep(0, b.Turn())
	}
	b.Leave()
	for limit := time.Now().Add(30 * time.Second); dormitory.on.Load(); {
		if time.Now().After(limit) {
			t.Fatal("it still goes round")
		}
		runtime.Gosched()
	}
}

func TestBedsAreBounded(t *testing.T) {
	beds := make([]*Bed, MaxBeds)
	for i := range beds {
		if beds[i] = newBed(); !beds[i].Enter() {
			t.Fatalf("only %d places", i)
		}
	}
	late := newBed()
	if late.Enter() {
		t.Error("one place too many")
	}
	beds[3].Leave()
	if !late.Enter() {
		t.Error("a place given back was not free")
	}
	beds[3] = late
	for _, b := range beds {
		b.Leave()
	}
}
