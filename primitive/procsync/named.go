// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// OpenMutex opens the mutex called name, NAME or USER@NAME (a user's name or
// uid), and makes it if it is not there and our own. It lasts until it is
// removed (Remove) or the machine is started anew. Another user's can be opened
// if its maker's Mode lets us.
func OpenMutex(ctx context.Context, name string, c Config) (*Mutex, error) {
	h, err := open(ctx, name, Shape{Kind: KindMutex}, c)
	if err != nil {
		return nil, err
	}
	return &Mutex{handle: h}, nil
}

// OpenRWMutex is OpenMutex for a lock with readers and writers.
func OpenRWMutex(ctx context.Context, name string, c Config) (*RWMutex, error) {
	h, err := open(ctx, name, Shape{Kind: KindRWMutex}, c)
	if err != nil {
		return nil, err
	}
	return newRWMutex(h), nil
}

// OpenSemaphore is OpenMutex for a semaphore of so many permits. One that has
// another number is fault.Invalid; 0 takes any, and makes none.
func OpenSemaphore(ctx context.Context, name string, permits int64, c Config) (*Semaphore, error) {
	h, err := open(ctx, name, Shape{Kind: KindSemaphore, Count: permits}, c)
	if err != nil {
		return nil, err
	}
	return newSemaphore(h), nil
}

// OpenCond is OpenMutex for a condition.
func OpenCond(ctx context.Context, name string, c Config) (*Cond, error) {
	h, err := open(ctx, name, Shape{Kind: KindCond}, c)
	if err != nil {
		return nil, err
	}
	return &Cond{h}, nil
}

// OpenEvent is OpenMutex for an event.
func OpenEvent(ctx context.Context, name string, c Config) (*Event, error) {
	h, err := open(ctx, name, Shape{Kind: KindEvent}, c)
	if err != nil {
		return nil, err
	}
	return &Event{h}, nil
}

// OpenBarrier is OpenMutex for a barrier of so many parties. One that has
// another number is fault.Invalid; 0 takes any, and makes none.
func OpenBarrier(ctx context.Context, name string, parties int64, c Config) (*Barrier, error) {
	h, err := open(ctx, name, Shape{Kind: KindBarrier, Count: parties}, c)
	if err != nil {
		return nil, err
	}
	return &Barrier{h}, nil
}

// Remove removes the object called name. While somebody has it open it is
// refused with fault.InUse, unless force is set: those go on with an object
// that nobody else finds.
func Remove(ctx context.Context, kind Kind, name string, force bool) error {
	return shm.Unlink(ctx, name, shm.NamedConfig{Kind: kind.String()}, force)
}

// Share puts into force who else may use the object called name, which its
// owner alone may say. Whoever has it open keeps it.
func Share(ctx context.Context, kind Kind, name string, access shm.Access) error {
	seg, err := shm.OpenNamed(ctx, name, shm.NamedConfig{Kind: kind.String(), OpenOnly: true, Access: &access})
	if err != nil {
		return err
	}
	return seg.Close()
}

func open(ctx context.Context, name string, s Shape, c Config) (*handle, error) {
	seg, err := segment(ctx, name, s, c)
	if err != nil {
		return nil, err
	}
	var h *handle
	cut := seg.Do(func() { h, err = openIn(seg, s, c) })
	if cut != nil {
		err = cut
	}
	if err != nil {
		return nil, errors.Join(err, seg.Close())
	}
	h.done = seg.Close
	return h, nil
}

func openIn(seg *shm.Named, s Shape, c Config) (*handle, error) {
	t, err := tableOver(seg.Bytes(), s.Kind, seg.Name())
	if err != nil {
		return nil, err
	}
	if s.Count != 0 && uint64(s.Count) != t.limit {
		return nil, fault.New(fault.Invalid, "open "+s.Kind.String(), seg.Name(), fmt.Errorf("it has a count of %d, not %d", t.limit, s.Count))
	}
	var cut *shm.Named
	if seg.Reached() || c.reached {
		cut = seg
	}
	return attach(t, &lives{file: seg.File(), base: shm.LockBase}, cut, seg.Name(), c)
}

// segment opens what is there, whatever its size, and makes it if nothing is.
func segment(ctx context.Context, name string, s Shape, c Config) (*shm.Named, error) {
	there := shm.NamedConfig{Kind: s.Kind.String(), OpenOnly: true, Patience: c.Patience, Access: c.Access}
	seg, err := shm.OpenNamed(ctx, name, there)
	counted := s.Kind == KindSemaphore || s.Kind == KindBarrier
	if fault.KindOf(err) != fault.NotFound || c.existing || counted && s.Count == 0 {
		return seg, err
	}
	s.Participants = c.Participants
	size, err := Size(s)
	if err != nil {
		return nil, fault.New(fault.Invalid, "open "+s.Kind.String(), name, err)
	}
	seg, err = shm.OpenNamed(ctx, name, shm.NamedConfig{
		Kind: s.Kind.String(), Size: size, Mode: c.Mode, Patience: c.Patience, Access: c.Access,
		Init: func(b []byte) error { return Format(b, s) },
	})
	if fault.KindOf(err) == fault.Invalid {
		// Made since by somebody who wants another size.
		if other, oerr := shm.OpenNamed(ctx, name, there); oerr == nil {
			return other, nil
		}
	}
	return seg, err
}
