// SPDX-License-Identifier: Apache-2.0

package child

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// A child that is to die with us gets the kernel's death signal, which comes
// when the *thread* that started it ends. Go ends threads as it likes, so
// children are started by one that never ends. Another one starts those with
// no-new-privileges, an attribute of the thread that its children inherit.
// They are the process's own, because threads are.
var (
	plainThread  = thread{}
	lockedThread = thread{before: noNewPrivileges}
)

func noNewPrivileges() error {
	return os.NewSyscallError("prctl PR_SET_NO_NEW_PRIVS", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// thread runs functions one after the other in one thread that never ends.
type thread struct {
	before func() error // run once, in it

	once  sync.Once
	work  chan func()
	ready error // what before came to
}

func (t *thread) do(f func() error) error {
	t.once.Do(func() {
		t.work = make(chan func())
		began := make(chan struct{})
		go t.run(began)
		<-began
	})
	if t.ready != nil {
		return t.ready
	}
	result := make(chan error)
	t.work <- func() { result <- f() }
	return <-result
}

// run never returns and never unlocks.
func (t *thread) run(began chan struct{}) {
	runtime.LockOSThread()
	if t.before != nil {
		t.ready = t.before()
	}
	close(began)
	for f := range t.work {
		f()
	}
}
