// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"os"
)

// RWMutex is a handle on a lock that one writer holds, or any number of
// readers. A reader's death gives its locks back; a writer's leaves suspect
// data, of which everybody is told until a writer has repaired it. Its methods
// may be called from any goroutines at once, but none while Close runs.
type RWMutex struct {
	*handle
	read, write *claim // immutable
}

// A record is the number of read locks, or recordWrites.
const (
	recordWrites = 1 << 63
	maxReads     = MaxCount
)

// The flags of the object, beside flagShut.
const (
	rwSuspect = 1 << iota // a writer died, and none has repaired since
	rwBroken              // a writer unlocked without repairing
)

// Tokens. A writer's is even, a reader's odd: readers who may hold the lock
// together may have the same one, larger than that of any writer before and
// smaller than that of any writer after.
func writeToken(entered uint64) uint64 { return 2 * entered }
func readToken(entered uint64) uint64  { return 2*entered + 1 }

// Amounts of a claim.
const (
	wantsRead  = 1
	wantsWrite = 2
)

// AttachRWMutex makes a handle on the lock that Format made in mem: see
// AttachMutex.
func AttachRWMutex(mem []byte, file *os.File, c Config) (*RWMutex, error) {
	h, err := attachBytes(mem, file, KindRWMutex, c)
	if err != nil {
		return nil, err
	}
	return newRWMutex(h), nil
}

func newRWMutex(h *handle) *RWMutex {
	m := &RWMutex{handle: h}
	m.read, m.write = m.claim(wantsRead), m.claim(wantsWrite)
	return m
}

func (m *RWMutex) claim(amount uint64) *claim {
	c := &claim{
		op: "read-lock", amount: amount, fits: m.fits,
		next:   func(record uint64) (uint64, bool) { return record + 1, record < maxReads },
		number: readToken,
		// Readers share: only a writer that has waited too long keeps them back.
		excludes: func(other uint64) bool { return other != wantsRead },
	}
	c.refuse = func() error {
		if m.flags.Load()&rwBroken != 0 {
			return m.notRecoverable(c.op)
		}
		return nil
	}
	if amount == wantsWrite {
		c.op = "lock"
		c.next = func(record uint64) (uint64, bool) { return recordWrites, record == 0 }
		c.number = writeToken
		c.excludes = func(uint64) bool { return true }
	}
	return c
}

func (m *RWMutex) fits(_ int, amount uint64) bool {
	for i := range m.used() {
		if r := m.records[i].Load(); r >= recordWrites || amount != wantsRead && r != 0 {
			return false
		}
	}
	return true
}

// Lock waits until this handle is the only one, and returns the token of the
// acquisition. With ErrOwnerDied the lock is held, and a writer died holding
// it: repair, MarkConsistent, Unlock.
func (m *RWMutex) Lock(ctx context.Context) (token uint64, err error) {
	return m.tokened(func() (uint64, error) { return m.take(ctx, m.write) })
}

// RLock waits until there is no writer, and returns the token of the
// acquisition. With ErrOwnerDied the lock is held, and what it protects is suspect
// until a writer has repaired it.
func (m *RWMutex) RLock(ctx context.Context) (token uint64, err error) {
	if m.cut != nil {
		return m.readSafely(ctx)
	}
	return m.takeRead(ctx)
}

func (m *RWMutex) readSafely(ctx context.Context) (token uint64, err error) {
	return m.tokened(func() (uint64, error) { return m.takeRead(ctx) })
}

func (m *RWMutex) takeRead(ctx context.Context) (token uint64, err error) {
	if token, ok := m.pass(); ok {
		return token, nil
	}
	return m.take(ctx, m.read)
}

func (m *RWMutex) take(ctx context.Context, c *claim) (token uint64, err error) {
	if token, err = m.acquire(ctx, c); err != nil {
		return 0, err
	}
	return m.judge(c, token)
}

// TryLock takes the lock for writing if that needs no wait.
func (m *RWMutex) TryLock() (token uint64, ok bool, err error) {
	return m.tried(func() (uint64, bool, error) { return m.tryTake(m.write) })
}

// TryRLock takes the lock for reading if that needs no wait.
func (m *RWMutex) TryRLock() (token uint64, ok bool, err error) { return m.tried(m.tryRead) }

func (m *RWMutex) tryRead() (token uint64, ok bool, err error) {
	if token, ok := m.pass(); ok {
		return token, true, nil
	}
	return m.tryTake(m.read)
}

func (m *RWMutex) tryTake(c *claim) (token uint64, ok bool, err error) {
	token, ok, err = m.tryAcquire(c)
	if !ok || err != nil {
		return 0, false, err
	}
	token, err = m.judge(c, token)
	return token, true, err
}

// judge says what a granted lock is worth.
func (m *RWMutex) judge(c *claim, token uint64) (uint64, error) {
	if m.flags.Load()&rwSuspect != 0 {
		return token, m.ownerDied(c.op)
	}
	return token, nil
}

// Unlock gives the write lock back: any goroutine may.
func (m *RWMutex) Unlock() error {
	return m.safely(func() error { return m.giveBack("unlock", wantsWrite) })
}

// RUnlock gives one read lock back: any goroutine may.
func (m *RWMutex) RUnlock() error {
	if m.cut == nil {
		return m.giveBack("read-unlock", wantsRead)
	}
	return m.safely(func() error { return m.giveBack("read-unlock", wantsRead) })
}

func (m *RWMutex) giveBack(op string, amount uint64) error {
	handOver()
	mine := m.records[m.me]
	for {
		has, left := mine.Load(), uint64(0)
		switch {
		case amount == wantsWrite && has == recordWrites:
			m.breakIfSuspect()
		case amount == wantsRead && has > 0 && has < recordWrites:
			left = has - 1
		default:
			return m.whyNotHeld(op)
		}
		if mine.CompareAndSwap(has, left) {
			break
		}
	}
	if m.flags.Load()&rwBroken != 0 {
		m.ringWaiting() // everybody learns of it
	} else {
		m.ringAtGate(m.fits)
	}
	return nil
}

func (m *RWMutex) breakIfSuspect() {
	for {
		f := m.flags.Load()
		if f&rwSuspect == 0 || m.flags.CompareAndSwap(f, f&^rwSuspect|rwBroken) {
			return
		}
	}
}

// MarkConsistent says that what the lock protects is whole again, after
// ErrOwnerDied. Only who holds it for writing may.
func (m *RWMutex) MarkConsistent() error { return m.safely(m.markConsistent) }

func (m *RWMutex) markConsistent() error {
	if m.records[m.me].Load() != recordWrites {
		return m.whyNotHeld("mark consistent")
	}
	m.unflag(rwSuspect)
	return nil
}

// Reset makes a lock usable again that is ErrNotRecoverable, by whoever knows
// that what it protects is in order. On any other it changes nothing.
func (m *RWMutex) Reset() error { return m.safely(m.reset) }

func (m *RWMutex) reset() error {
	if err := m.enterHandle("reset"); err != nil {
		return err
	}
	defer m.inside.Done()
	m.unflag(rwBroken)
	return nil
}

func (m *RWMutex) unflag(flag uint32) {
	for {
		f := m.flags.Load()
		if m.flags.CompareAndSwap(f, f&^flag) {
			return
		}
	}
}

// bequeath notes that a writer has died. The next one cannot be before the
// record is gone, so nobody has repaired by then.
func (h *handle) bequeath(record uint64) {
	if h.kind != KindRWMutex || record < recordWrites {
		return
	}
	for {
		f := h.flags.Load()
		if f&rwBroken != 0 || h.flags.CompareAndSwap(f, f|rwSuspect) {
			return
		}
	}
}
