// SPDX-License-Identifier: Apache-2.0

package procsync

// Whoever may write an object's file may also cut it short, and touching what
// is gone ends a program. So where others may be let in, below /run/parley, each
// method runs so that it is an error instead (shm.Named.Do). It costs some
// nanoseconds; the memory of one user only, and the caller's own, go without.

// safely runs f; a fault in the object's memory is fault.Protocol. What f holds
// of the process's own it gives back while it panics.
func (h *handle) safely(f func() error) (err error) {
	if h.cut == nil {
		return f()
	}
	if cut := h.cut.Do(func() { err = f() }); cut != nil {
		return cut
	}
	return err
}

// tokened is safely for what returns a token.
func (h *handle) tokened(f func() (uint64, error)) (token uint64, err error) {
	err = h.safely(func() (err error) { token, err = f(); return err })
	return token, err
}

// tried is safely for what may not get it.
func (h *handle) tried(f func() (uint64, bool, error)) (token uint64, ok bool, err error) {
	err = h.safely(func() (err error) { token, ok, err = f(); return err })
	return token, ok, err
}
