// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// State is an object with a name, as somebody sees it who takes no part.
type State struct {
	Name         string        `json:"name"`
	Kind         string        `json:"kind"`
	Count        int64         `json:"count,omitempty"`   // permits, or parties
	Set          bool          `json:"set,omitempty"`     // an event that has happened
	Suspect      bool          `json:"suspect,omitempty"` // an owner died, and nobody has repaired since
	Broken       bool          `json:"broken,omitempty"`  // ErrNotRecoverable until Reset
	Access       *shm.Access   `json:"access,omitempty"`  // who may use it, beside its owner and root
	Participants []Participant `json:"participants"`
}

// Kinds are all kinds of objects.
func Kinds() []Kind {
	return []Kind{KindMutex, KindRWMutex, KindSemaphore, KindCond, KindEvent, KindBarrier}
}

// Inspect looks at the object called name. It only reads: it wakes, buries and
// delays nobody, and needs no more than the right to read the object's file.
func Inspect(ctx context.Context, kind Kind, name string) (st State, err error) {
	seg, err := shm.OpenNamed(ctx, name, shm.NamedConfig{Kind: kind.String(), ReadOnly: true})
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, seg.Close()) }()
	cut := seg.Do(func() {
		var t *table
		if t, err = tableOver(seg.Bytes(), kind, name); err != nil {
			return
		}
		h := &handle{table: t, name: name, me: -1, lives: &lives{file: seg.File(), base: shm.LockBase}}
		st = h.inspect()
	})
	if cut != nil {
		err = cut
	}
	if err != nil {
		return st, err
	}
	if a, err := seg.Access(); err != nil {
		return st, err
	} else if a.Everybody || len(a.UIDs)+len(a.GIDs) > 0 {
		st.Access = &a
	}
	return st, nil
}

func (h *handle) inspect() State {
	s, f := h.state.Load(), h.flags.Load()
	st := State{Name: h.name, Kind: h.kind.String(), Count: int64(h.limit), Participants: []Participant{}}
	switch h.kind {
	case KindMutex:
		st.Suspect, st.Broken = s&flagInconsistent != 0, s&flagBroken != 0
	case KindRWMutex:
		st.Suspect, st.Broken = f&rwSuspect != 0, f&rwBroken != 0
	case KindEvent:
		st.Set = h.value.Load()&eventSet != 0
	default: // the others have nothing but participants
	}
	for i := range h.used() {
		if h.life(i).Load() != 0 || h.dirty(i) {
			st.Participants = append(st.Participants, h.participant(i))
		}
	}
	return st
}

// Break takes the object called name from whoever holds it and is proven dead,
// and says from how many. With force it takes it from the living too, who go
// on believing that they hold it: only a store that checks tokens is safe from
// them. Without force, a holder that lives is fault.InUse. The next one to get
// a lock so broken gets ErrOwnerDied.
func Break(ctx context.Context, kind Kind, name string, force bool) (n int, err error) {
	before, err := Inspect(ctx, kind, name)
	if err != nil {
		return 0, err
	}
	// To open it is to bury whoever had the place that we get.
	h, err := open(ctx, name, Shape{Kind: kind}, Config{NoSpin: true, existing: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	held := 0
	if err := h.safely(func() error { held = h.breakAll(force); return nil }); err != nil {
		return 0, err
	}
	for _, p := range before.Participants {
		if p.Holds > 0 && !p.Alive {
			n++
		}
	}
	switch {
	case held == 0:
		return n, nil
	case !force:
		return n, fault.New(fault.InUse, "break", name, errors.New("its holder lives")).WithHint("to take it from the living all the same: force")
	}
	return n + held, nil
}

// breakAll buries the dead and says how many of the living hold something; with
// force it takes it from them.
func (h *handle) breakAll(force bool) (held int) {
	h.lookRound(true)
	for i := range h.used() {
		if k, _ := h.holds(i); k == 0 || i == h.me {
			continue
		}
		held++
		if force {
			h.seize(i)
		}
	}
	if force && held > 0 {
		h.ringAll()
	}
	return held
}

// seize takes what slot i holds, alive or not.
func (h *handle) seize(i int) {
	if h.kind == KindMutex {
		h.evict(i + 1)
		return
	}
	h.bequeath(h.records[i].Load())
	h.records[i].Store(0)
}

// Reset makes the lock called name usable again if it is ErrNotRecoverable:
// Mutex.Reset and RWMutex.Reset for whoever knows only its name.
func Reset(ctx context.Context, kind Kind, name string) (err error) {
	h, err := open(ctx, name, Shape{Kind: kind}, Config{NoSpin: true, existing: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	switch kind {
	case KindMutex:
		return (&Mutex{handle: h}).Reset()
	case KindRWMutex:
		return newRWMutex(h).Reset()
	default:
		return nil // nothing else can be broken
	}
}
