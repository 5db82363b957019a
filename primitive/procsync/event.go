// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"os"
)

// Event is a handle on something that has happened, or not yet. Its methods may
// be called from any goroutines at once, but none while Close runs.
type Event struct{ *handle }

// The value of an event: bit 0 says that it has happened, the rest counts how
// often.
const eventSet = 1

// AttachEvent makes a handle on the event that Format made in mem: see
// AttachMutex.
func AttachEvent(mem []byte, file *os.File, c Config) (*Event, error) {
	h, err := attachBytes(mem, file, KindEvent, c)
	if err != nil {
		return nil, err
	}
	return &Event{h}, nil
}

// Set lets it have happened, and everybody who waits go on, be it Reset at
// once.
func (e *Event) Set() error { return e.safely(e.set) }

func (e *Event) set() error {
	if err := e.enterHandle("set"); err != nil {
		return err
	}
	defer e.inside.Done()
	handOver()
	for {
		v := e.value.Load()
		if v&eventSet != 0 {
			return nil
		}
		if e.value.CompareAndSwap(v, v+2|eventSet) {
			e.ringWaiting()
			return nil
		}
	}
}

// Reset lets it not have happened.
func (e *Event) Reset() error { return e.safely(e.reset) }

func (e *Event) reset() error {
	if err := e.enterHandle("reset"); err != nil {
		return err
	}
	defer e.inside.Done()
	for {
		v := e.value.Load()
		if v&eventSet == 0 || e.value.CompareAndSwap(v, v&^eventSet) {
			return nil
		}
	}
}

// IsSet says whether it has happened.
func (e *Event) IsSet() (is bool) {
	_ = e.safely(func() error { is = e.value.Load()&eventSet != 0; return nil })
	return is
}

// Wait waits until it happens, or ctx ends. One that has happened makes nobody
// wait.
func (e *Event) Wait(ctx context.Context) error {
	return e.safely(func() error { return e.wait(ctx) })
}

func (e *Event) wait(ctx context.Context) error {
	v := e.value.Load()
	if v&eventSet != 0 {
		takeOver()
		return nil
	}
	return e.await(ctx, "wait for event", 1, func() bool {
		now := e.value.Load()
		return now&eventSet != 0 || now>>1 != v>>1
	})
}
