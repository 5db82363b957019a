// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"errors"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// TestLayout pins what docs/formats/procsync.md says.
func TestLayout(t *testing.T) {
	mem := make([]byte, sizeFor(3))
	if err := Format(mem, Shape{Kind: KindSemaphore, Participants: 3, Count: 5}); err != nil {
		t.Fatal(err)
	}
	if string(mem[:8]) != "parleyPS" && string(mem[:8]) != "SPyelrap" {
		t.Errorf("the magic reads %q", mem[:8])
	}
	for off, want := range map[int]uint32{8: 2, 12: 3, 16: 3, 20: 0} {
		if got := word32(mem, off).Load(); got != want {
			t.Errorf("offset %d holds %d, want %d", off, got, want)
		}
	}
	if got := word64(mem, 24).Load(); got != 5 {
		t.Errorf("the limit at 24 is %d, want 5", got)
	}
	tab, err := tableOver(mem, KindSemaphore, "")
	if err != nil {
		t.Fatal(err)
	}
	s := tab.slotAt(2)
	const slots = 512 + 2*128
	for _, c := range []struct {
		name string
		off  int
		set  func()
	}{
		{"state", 128, func() { tab.state.Store(1) }},
		{"value", 256, func() { tab.value.Store(1) }},
		{"flags", 264, func() { tab.flags.Store(1) }},
		{"members", 384, func() { tab.members.Store(1) }},
		{"top", 388, func() { tab.top.Store(1) }},
		{"queue", 512 + 16, func() { tab.queue[2].Store(1) }},
		{"wants", 640 + 16, func() { tab.wants[2].Store(1) }},
		{"next", slots + 512, func() { s.next.Store(1) }},
		{"life", slots + 512 + 8, func() { s.life.Store(1) }},
		{"pid", slots + 512 + 16, func() { s.pid.Store(1) }},
		{"uid", slots + 512 + 20, func() { s.uid.Store(1) }},
		{"amount", slots + 512 + 24, func() { s.amount.Store(1) }},
		{"token", slots + 512 + 32, func() { s.token.Store(1) }},
		{"since", slots + 512 + 40, func() { s.since.Store(1) }},
		{"waiting", slots + 512 + 48, func() { s.waiting.Store(1) }},
		{"lock bell", slots + 512 + 64, func() { s.lock.word.Store(1) }},
		{"lock rests", slots + 512 + 68, func() { s.lock.rests.Store(1) }},
		{"want bell", slots + 512 + 72, func() { s.obj.word.Store(1) }},
		{"want rests", slots + 512 + 76, func() { s.obj.rests.Store(1) }},
		{"record", slots + 512 + 192, func() { tab.records[2].Store(1) }},
		{"label", slots + 512 + 128, func() { s.label[0].Store(1) }},
	} {
		before := append([]byte(nil), mem...)
		c.set()
		for i := range mem {
			if mem[i] != before[i] {
				if i&^7 != c.off&^7 || i < c.off {
					t.Errorf("%s is at %d, want %d", c.name, i, c.off)
				}
				break
			}
		}
		if string(mem) == string(before) {
			t.Errorf("%s is not in the memory", c.name)
		}
		copy(mem, before)
	}
	if got, want := len(mem), slots+3*256; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	if tokenOne != 1<<12 || flagQueue != 1<<8 || flagInconsistent != 1<<9 || flagBroken != 1<<10 || flagHanded != 1<<11 ||
		rwSuspect != 1 || rwBroken != 2 || flagShut != 4 {
		t.Error("the bits of the lock word, or of the flags, have moved")
	}
}

func TestRefusedShapes(t *testing.T) {
	for _, s := range []Shape{
		{}, {Kind: endKinds}, {Kind: KindMutex, Count: 1}, {Kind: KindSemaphore}, {Kind: KindBarrier, Count: -1},
		{Kind: KindMutex, Participants: -1}, {Kind: KindMutex, Participants: MaxParticipants + 1},
	} {
		if _, err := Size(s); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v, want invalid", s, err)
		}
	}
	if err := Format(make([]byte, 100), Shape{Kind: KindMutex}); !errors.Is(err, fault.Invalid) {
		t.Errorf("too little memory: %v", err)
	}
	big := make([]byte, sizeFor(64)+8)
	if err := Format(big[4:], Shape{Kind: KindMutex}); !errors.Is(err, fault.Invalid) {
		t.Errorf("memory that begins at a multiple of 4: %v", err)
	}
	if _, err := tableOver(big, KindMutex, ""); !errors.Is(err, fault.Protocol) {
		t.Errorf("zeros: %v, want a protocol error", err)
	}
	if err := Format(big, Shape{Kind: KindMutex}); err != nil {
		t.Fatal(err)
	}
	if _, err := tableOver(big, KindEvent, ""); !errors.Is(err, fault.Protocol) {
		t.Errorf("another kind: %v, want a protocol error", err)
	}
	if _, err := tableOver(big[:sizeFor(64)-8], KindMutex, ""); !errors.Is(err, fault.Protocol) {
		t.Errorf("cut short: %v, want a protocol error", err)
	}
	for off := range atState { // each byte of the header, spoilt
		for _, v := range []byte{0, 0xff, big[off] ^ 1} {
			was := big[off]
			big[off] = v
			if tab, err := tableOver(big, KindMutex, ""); err == nil && tab.slots > MaxParticipants {
				t.Errorf("byte %d is %d: %d slots", off, v, tab.slots)
			}
			big[off] = was
		}
	}
}

// TestMutexTakesOneAtomic: what is free is taken, and given back, by one
// change of the lock word each.
func TestMutexTakesOneAtomic(t *testing.T) {
	mem := make([]byte, sizeFor(1))
	if err := Format(mem, Shape{Kind: KindMutex, Participants: 1}); err != nil {
		t.Fatal(err)
	}
	tab, err := tableOver(mem, KindMutex, "")
	if err != nil {
		t.Fatal(err)
	}
	h := &handle{table: tab, who: 1}
	if token, ok := h.grab(); !ok || token != 1 || h.state.Load() != 1<<tokenShift|1 {
		t.Errorf("grab: %d, %v, the word %#x", token, ok, h.state.Load())
	}
	if _, ok := h.grab(); ok {
		t.Error("grabbed twice")
	}
	if _, ok := h.release(); !ok || h.state.Load() != 1<<tokenShift {
		t.Errorf("release: %v, the word %#x", ok, h.state.Load())
	}
}
