// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// What Lock says beside nil. Errors that wrap ErrOwnerDied come with the lock.
var (
	// ErrOwnerDied: the lock is ours, and an owner died holding it, so that
	// what it protects may be half changed. Repair that, call MarkConsistent,
	// then Unlock. Its kind is fault.PeerDied.
	ErrOwnerDied = errors.New("an owner died holding it: what it protects may be half changed")

	// ErrNotRecoverable: somebody got ErrOwnerDied and unlocked without
	// MarkConsistent. Nobody gets the lock until Reset.
	ErrNotRecoverable = errors.New("it was unlocked without being repaired: nobody gets it before Reset")

	// ErrNotHeld: this handle does not hold what it was told to give back.
	ErrNotHeld = errors.New("this handle does not hold it")
)

func (h *handle) ownerDied(op string) error {
	return fault.New(fault.PeerDied, op, h.name, ErrOwnerDied).WithHint("repair it, then MarkConsistent")
}

func (h *handle) notRecoverable(op string) error {
	return fault.New(fault.Unavailable, op, h.name, ErrNotRecoverable)
}

func (h *handle) notHeld(op string) error { return fault.New(fault.Invalid, op, h.name, ErrNotHeld) }

func (h *handle) errClosed(op string) error {
	return fault.New(fault.Closed, op, h.name, errors.New("the handle was closed"))
}

func (h *handle) ended(ctx context.Context, op string) error {
	return fault.Wrap(op, h.name, context.Cause(ctx))
}

func damaged(op, name, format string, args ...any) error {
	return fault.New(fault.Protocol, op, name, fmt.Errorf("the memory is damaged: "+format, args...))
}
