// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"os"
)

// Cond is a handle on a condition that is protected by a Mutex, as of
// sync.Cond or POSIX. Its methods may be called from any goroutines at once,
// but none while Close runs.
type Cond struct{ *handle }

// AttachCond makes a handle on the condition that Format made in mem: see
// AttachMutex.
func AttachCond(mem []byte, file *os.File, c Config) (*Cond, error) {
	h, err := attachBytes(mem, file, KindCond, c)
	if err != nil {
		return nil, err
	}
	return &Cond{h}, nil
}

// Wait unlocks m, which its caller holds, waits until it is signalled or ctx
// ends, and locks m again. It may return for no reason: look at the condition in
// a loop. With nil and with ErrOwnerDied m is held, with any other error it is
// not.
func (c *Cond) Wait(ctx context.Context, m *Mutex) error {
	const op = "wait for condition"
	if err := c.safely(func() error { return c.waitWithout(ctx, op, m) }); err != nil {
		return err
	}
	return m.Lock(ctx)
}

// waitWithout gives the mutex back and waits.
func (c *Cond) waitWithout(ctx context.Context, op string, m *Mutex) error {
	v := c.value.Load()
	var broken, ok bool
	if err := m.safely(func() error { broken, ok = m.release(); return nil }); err != nil {
		return err
	}
	if !ok {
		return m.notHeld(op)
	}
	if broken {
		return m.notRecoverable(op)
	}
	signalled := func() bool { return c.value.Load() != v }
	if err := c.await(ctx, op, v+1, signalled); err != nil {
		if signalled() {
			c.ringFirst() // it may have been meant for us
		}
		return err
	}
	return nil
}

// Signal wakes at least one that waits, the one that has waited longest. It is
// best called with the mutex held.
func (c *Cond) Signal() error { return c.change("signal", c.ringFirst) }

// Broadcast wakes everybody that waits.
func (c *Cond) Broadcast() error { return c.change("broadcast", c.ringWaiting) }

func (c *Cond) change(op string, wake func()) error {
	return c.safely(func() error { return c.raise(op, wake) })
}

func (c *Cond) raise(op string, wake func()) error {
	if err := c.enterHandle(op); err != nil {
		return err
	}
	defer c.inside.Done()
	c.value.Add(1)
	wake()
	return nil
}
