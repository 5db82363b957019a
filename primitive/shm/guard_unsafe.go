// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"runtime/debug"
	"unsafe"

	"github.com/parley-ipc/parley/fault"
)

var errCut = errors.New("its file was cut short by somebody who may write to it")

// guarded runs f so that a fault in our mapping is a panic, and makes an error
// of that panic. Any other goes on.
func (n *Named) guarded(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if !n.faulted(p) {
				panic(p) //nolint:forbidigo // not of our making
			}
			err = namedError("use", n.name, n.kind, fault.Protocol, errCut).WithHint("close it, remove the name, and open it anew")
		}
	}()
	f()
	return nil
}

// faulted reports whether p came from touching our mapping.
func (n *Named) faulted(p any) bool {
	at, ok := p.(interface{ Addr() uintptr })
	if !ok || len(n.mem) == 0 {
		return false
	}
	base := uintptr(unsafe.Pointer(&n.mem[0]))
	return at.Addr() >= base && at.Addr()-base < uintptr(len(n.mem))
}
