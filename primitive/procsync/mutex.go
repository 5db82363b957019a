// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"os"
)

// Mutex is a handle on a lock that one handle holds at a time. Its methods may
// be called from any goroutines at once, but none while Close runs.
type Mutex struct {
	*handle
	tok uint64 // of the acquisition that holds; guarded by the lock itself
}

// AttachMutex makes a handle on the mutex that Format made in mem. mem must
// stay mapped until Close. file proves that the handle lives: whoever attaches
// to the same object passes the same file, be it opened or received; its first
// bytes are locked, nothing is written to it.
func AttachMutex(mem []byte, file *os.File, c Config) (*Mutex, error) {
	h, err := attachBytes(mem, file, KindMutex, c)
	if err != nil {
		return nil, err
	}
	return &Mutex{handle: h}, nil
}

// Lock waits until the lock is this handle's. With ErrOwnerDied it is; with
// ErrNotRecoverable, with ctx's end and with any other error it is not.
func (m *Mutex) Lock(ctx context.Context) error {
	if m.cut != nil {
		return m.lockSafely(ctx)
	}
	if token, ok := m.grab(); ok {
		m.took(token)
		return nil
	}
	return m.takeLock(ctx)
}

func (m *Mutex) lockSafely(ctx context.Context) error {
	return m.safely(func() error {
		if token, ok := m.grab(); ok {
			m.took(token)
			return nil
		}
		return m.takeLock(ctx)
	})
}

// takeLock is the long way.
func (m *Mutex) takeLock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return m.ended(ctx, "lock")
	}
	token, v, err := m.lockWord(ctx, "lock")
	if err != nil {
		return err
	}
	return m.judge(token, v)
}

// TryLock takes the lock if that needs no wait, and says whether it did. It
// may do so and return ErrOwnerDied.
func (m *Mutex) TryLock() (ok bool, err error) {
	err = m.safely(func() (err error) { ok, err = m.tryLock(); return err })
	return ok, err
}

func (m *Mutex) tryLock() (bool, error) {
	if token, ok := m.grab(); ok {
		m.took(token)
		return true, nil
	}
	if err := m.enterHandle("lock"); err != nil {
		return false, err
	}
	defer m.inside.Done()
	select {
	case m.lock.first <- struct{}{}:
		defer func() { <-m.lock.first }()
	default:
		return false, nil // another goroutine waits for it
	}
	token, v := m.try()
	if v == busy && m.lookRound(false) {
		token, v = m.try()
	}
	if v == busy {
		return false, nil
	}
	err := m.judge(token, v)
	return v != refused, err
}

func (m *Mutex) judge(token uint64, v verdict) error {
	if v == refused {
		return m.notRecoverable("lock")
	}
	m.took(token)
	if v == gotSuspect {
		return m.ownerDied("lock")
	}
	return nil
}

func (m *Mutex) took(token uint64) {
	m.tok = token
	m.note(token)
}

// Unlock gives the lock back: any goroutine may. Without MarkConsistent after
// ErrOwnerDied, nobody gets the lock any more before Reset. A handle that does not
// hold it gets ErrNotHeld.
func (m *Mutex) Unlock() error {
	if m.cut != nil {
		return m.safely(m.giveLock)
	}
	if _, ok := m.release(); ok {
		return nil
	}
	return m.whyNotHeld("unlock")
}

func (m *Mutex) giveLock() error {
	if _, ok := m.release(); ok {
		return nil
	}
	return m.whyNotHeld("unlock")
}

// Token is the number of the acquisition by which the handle holds the lock:
// larger than that of every one before. Only the holder may ask.
func (m *Mutex) Token() uint64 { return m.tok }

// MarkConsistent says that what the lock protects is whole again, after
// ErrOwnerDied. Only the holder may.
func (m *Mutex) MarkConsistent() error { return m.safely(m.markConsistent) }

func (m *Mutex) markConsistent() error {
	for {
		s := m.state.Load()
		if s&ownerMask != m.who || s&flagHanded != 0 {
			return m.notHeld("mark consistent")
		}
		if s&flagInconsistent == 0 || m.state.CompareAndSwap(s, s&^flagInconsistent) {
			return nil
		}
	}
}

// Reset makes a lock usable again that is ErrNotRecoverable, by whoever knows
// that what it protects is in order. On any other it changes nothing.
func (m *Mutex) Reset() error { return m.safely(m.reset) }

func (m *Mutex) reset() error {
	if err := m.enterHandle("reset"); err != nil {
		return err
	}
	defer m.inside.Done()
	for {
		s := m.state.Load()
		if s&flagBroken == 0 {
			return nil
		}
		if m.state.CompareAndSwap(s, s&^(flagBroken|flagInconsistent|ownerMask|flagHanded)+tokenOne) {
			m.ringAll()
			return nil
		}
	}
}
