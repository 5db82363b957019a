// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/parley-ipc/parley/fault"
)

// The layout, version 2; docs/formats/procsync.md is normative. Numbers are in
// the machine's byte order: the memory means nothing elsewhere.
//
//	  0  magic u64 │ version u32 │ kind u32 │ slots u32 │ zero u32 │ limit u64
//	128  state u64, the lock word
//	256  value u64 │ flags u32
//	384  members u32 │ top u32
//	512  queue   slots × u64: who waits for state, by the token it began at
//	     wants   slots × u64: who waits for anything else
//	     slots × 256 bytes
const (
	magic   = 0x535079656c726170 // "parleyPS" where the low byte comes first
	version = 2

	atMagic   = 0
	atVersion = 8
	atKind    = 12
	atSlots   = 16
	atLimit   = 24
	atState   = 128
	atValue   = 256
	atFlags   = 264
	atMembers = 384
	atTop     = 388
	atArrays  = 512

	slotSize = 256

	// In a slot. next and life stand where the kernel's robust list wants
	// them: a node, and the word 8 bytes after it.
	inNext     = 0
	inLife     = 8
	inPID      = 16
	inUID      = 20
	inAmount   = 24
	inToken    = 32
	inSince    = 40
	inWaiting  = 48
	inLockBell = 64
	inLockRest = 68
	inWantBell = 72
	inWantRest = 76
	inLabel    = 128
	labelSize  = 64
	inRecord   = 192 // on a line that only its handle writes often
)

const (
	// DefaultParticipants is how many handles there may be on an object whose
	// maker said nothing.
	DefaultParticipants = 64

	// MaxParticipants is how many its maker may ask for: the kernel lets a
	// thread sleep on 128 words at once.
	MaxParticipants = 120

	// MaxCount is the most permits of a semaphore, or parties of a barrier.
	MaxCount = 1<<31 - 1
)

// A Kind is what an object is.
type Kind uint32

// The kinds.
const (
	KindMutex Kind = iota + 1
	KindRWMutex
	KindSemaphore
	KindCond
	KindEvent
	KindBarrier
	endKinds
)

var kindNames = [endKinds]string{
	KindMutex: "mutex", KindRWMutex: "rwmutex", KindSemaphore: "semaphore",
	KindCond: "cond", KindEvent: "event", KindBarrier: "barrier",
}

// String is the kind's name, which is the Kind of its named segment too.
func (k Kind) String() string {
	if k == 0 || k >= endKinds {
		return "unknown"
	}
	return kindNames[k]
}

// Shape is what is fixed when an object is made. Its zero value but for Kind
// makes a Mutex, RWMutex, Cond or Event.
type Shape struct {
	Kind         Kind
	Participants int   // handles at once; default DefaultParticipants
	Count        int64 // permits of a semaphore, parties of a barrier
}

func (s Shape) checked() (Shape, error) {
	if s.Participants == 0 {
		s.Participants = DefaultParticipants
	}
	counted := s.Kind == KindSemaphore || s.Kind == KindBarrier
	switch {
	case s.Kind == 0 || s.Kind >= endKinds:
		return s, fmt.Errorf("there is no kind %d", s.Kind)
	case s.Participants < 1 || s.Participants > MaxParticipants:
		return s, fmt.Errorf("%d participants, there may be 1 to %d", s.Participants, MaxParticipants)
	case counted && (s.Count < 1 || s.Count > MaxCount):
		return s, fmt.Errorf("a count of %d, a %s has 1 to %d", s.Count, s.Kind, MaxCount)
	case !counted && s.Count != 0:
		return s, fmt.Errorf("a count of %d, a %s has none", s.Count, s.Kind)
	}
	return s, nil
}

func sizeFor(slots int) int { return slotsAt(slots) + slots*slotSize }

// slotsAt is where the slots begin: behind two arrays, each on lines of its own.
func slotsAt(slots int) int { return atArrays + 2*arraySize(slots) }

func arraySize(slots int) int { return (slots*8 + 127) &^ 127 }

// Size is how many bytes of memory an object takes.
func Size(s Shape) (int, error) {
	s, err := s.checked()
	if err != nil {
		return 0, fault.New(fault.Invalid, "size", "", err)
	}
	return sizeFor(s.Participants), nil
}

// Format makes an object in mem, which nobody else may look at before it has
// returned: shared memory, zeroed, that begins at a multiple of 8.
func Format(mem []byte, s Shape) error {
	s, err := s.checked()
	if err != nil {
		return fault.New(fault.Invalid, "format", "", err)
	}
	if size := sizeFor(s.Participants); len(mem) < size || !aligned(mem) {
		return fault.New(fault.Invalid, "format", "", fmt.Errorf("%d bytes, want %d that begin at a multiple of 8", len(mem), size))
	}
	word32(mem, atVersion).Store(version)
	word32(mem, atKind).Store(uint32(s.Kind))
	word32(mem, atSlots).Store(uint32(s.Participants))
	word64(mem, atLimit).Store(uint64(s.Count))
	word64(mem, atMagic).Store(magic)
	return nil
}

// table is an object's memory as every handle sees it. What was checked once
// (slots, limit) is never read again.
type table struct {
	kind    Kind
	slots   int
	limit   uint64
	mem     []byte
	state   *atomic.Uint64
	value   *atomic.Uint64
	flags   *atomic.Uint32
	members *atomic.Uint32 // a futex: changes when a handle comes or goes
	top     *atomic.Uint32 // no slot from here on was ever used

	queue, wants []atomic.Uint64
	records      []*atomic.Uint64 // what each slot holds
}

func tableOver(mem []byte, kind Kind, name string) (*table, error) {
	const op = "attach"
	if len(mem) < atArrays || !aligned(mem) {
		return nil, fault.New(fault.Invalid, op, name, fmt.Errorf("%d bytes that need to begin at a multiple of 8", len(mem)))
	}
	if word64(mem, atMagic).Load() != magic {
		return nil, fault.New(fault.Protocol, op, name, errors.New("this memory holds no object")).WithHint("Format it")
	}
	if v := word32(mem, atVersion).Load(); v != version {
		return nil, fault.New(fault.Protocol, op, name, fmt.Errorf("version %d, we speak %d", v, version)).WithHint("an older or newer Parley has made it: once nobody uses it, remove it (parley locks rm)")
	}
	s, err := Shape{
		Kind:         Kind(word32(mem, atKind).Load()),
		Participants: int(word32(mem, atSlots).Load()),
		Count:        int64(word64(mem, atLimit).Load()),
	}.checked()
	switch {
	case err != nil:
		return nil, damaged(op, name, "%w", err)
	case s.Kind != kind:
		return nil, fault.New(fault.Protocol, op, name, fmt.Errorf("it is a %s, not a %s", s.Kind, kind))
	case len(mem) < sizeFor(s.Participants):
		return nil, damaged(op, name, "%d bytes, its %d slots need %d", len(mem), s.Participants, sizeFor(s.Participants))
	}
	return newTable(mem, s), nil
}

func newTable(mem []byte, s Shape) *table {
	n := s.Participants
	array := func(i int) []atomic.Uint64 { return words(mem[atArrays+i*arraySize(n):], n) }
	t := &table{
		kind: s.Kind, slots: n, limit: uint64(s.Count), mem: mem,
		state: word64(mem, atState), value: word64(mem, atValue), flags: word32(mem, atFlags),
		members: word32(mem, atMembers), top: word32(mem, atTop),
		queue: array(0), wants: array(1), records: make([]*atomic.Uint64, n),
	}
	for i := range n {
		t.records[i] = word64(mem, slotsAt(n)+i*slotSize+inRecord)
	}
	return t
}

// used is how many slots may be in use.
func (t *table) used() int { return min(int(t.top.Load()), t.slots) }

// slot is one participant's words. Anybody may write them.
type slot struct {
	next      *atomic.Uint64
	life      *atomic.Uint32
	pid, uid  *atomic.Uint32
	amount    *atomic.Uint64
	token     *atomic.Uint64
	since     *atomic.Uint64
	waiting   *atomic.Uint64
	lock, obj bell
	label     []atomic.Uint64
}

// bell is how a slot's handle is woken: a word that changes, and whether
// somebody sleeps on it.
type bell struct{ word, rests *atomic.Uint32 }

func (t *table) slotAt(i int) slot {
	b := t.mem[slotsAt(t.slots)+i*slotSize:][:slotSize:slotSize]
	return slot{
		next: word64(b, inNext), life: word32(b, inLife), pid: word32(b, inPID), uid: word32(b, inUID),
		amount: word64(b, inAmount), token: word64(b, inToken), since: word64(b, inSince), waiting: word64(b, inWaiting),
		lock:  bell{word32(b, inLockBell), word32(b, inLockRest)},
		obj:   bell{word32(b, inWantBell), word32(b, inWantRest)},
		label: words(b[inLabel:], labelSize/8),
	}
}

func (t *table) life(i int) *atomic.Uint32 {
	return word32(t.mem, slotsAt(t.slots)+i*slotSize+inLife)
}
