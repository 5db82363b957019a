// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// robustHead is the kernel's struct robust_list_head. Go's heap does not move
// it, and robustList keeps it.
type robustHead struct {
	next    uintptr // the first node, or the head itself
	offset  int     // from a node to its word
	pending uintptr // a node about to be put on or taken off
}

// robustList is one thread's list. The nodes are in shared memory, as the
// kernel wants them beside their words; whom to unlink from is remembered here,
// where no peer can change it.
type robustList struct {
	head  *robustHead
	order []robustNode // as on the list, the first last
}

type robustNode struct{ slot slot }

// newRobustList gives the calling thread a list.
func newRobustList() (*robustList, uint32, error) {
	head := &robustHead{offset: inLife - inNext}
	head.next = uintptr(unsafe.Pointer(head))
	l := &robustList{head: head}
	if _, _, errno := unix.Syscall(unix.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(head)), unsafe.Sizeof(*head), 0); errno != 0 {
		return nil, 0, errno
	}
	return l, uint32(unix.Gettid()), nil
}

func (l *robustList) len() int    { return len(l.order) }
func (l *robustList) empty() bool { return len(l.order) == 0 }

func address(s slot) uintptr { return uintptr(unsafe.Pointer(s.next)) }

// add links the slot in, so that a death in the middle is told of as well. Its
// memory may be gone: then it says so, and has done nothing.
func (l *robustList) add(s slot, tid uint32) (ok bool) {
	ok = tolerant(func() {
		l.head.pending = address(s)
		s.life.Store(tid | lifeWaiters)
		s.next.Store(uint64(l.head.next))
		atomic.StoreUintptr(&l.head.next, address(s))
	})
	l.head.pending = 0
	if ok {
		l.order = append(l.order, robustNode{s})
	}
	return ok
}

// remove unlinks the slot. Links are written from what we remember, so a node
// whose link a peer has spoilt does no harm past its own end. Nor does one
// whose memory is gone: the kernel stops there.
func (l *robustList) remove(s slot) {
	for i := range l.order {
		if l.order[i].slot.next != s.next {
			continue
		}
		after := uintptr(unsafe.Pointer(l.head))
		if i > 0 {
			after = address(l.order[i-1].slot)
		}
		if i == len(l.order)-1 {
			atomic.StoreUintptr(&l.head.next, after)
		} else {
			tolerant(func() { l.order[i+1].slot.next.Store(uint64(after)) })
		}
		l.order = append(l.order[:i], l.order[i+1:]...)
		break
	}
	tolerant(func() {
		s.next.Store(0)
		s.life.Store(0)
	})
	runtime.KeepAlive(l)
}

// tolerant runs f, which touches shared memory only and holds nothing; ok is
// false if it was cut short by a fault there.
func tolerant(f func()) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if _, fault := p.(interface{ Addr() uintptr }); p != nil && !fault {
			panic(p) //nolint:forbidigo // not of our making
		}
		ok = p == nil
	}()
	f()
	return true
}
