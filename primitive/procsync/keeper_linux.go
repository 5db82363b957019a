// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"errors"
	"runtime"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

// keepers are the threads of this process that carry the kernel's robust
// lists. A thread that ends makes the kernel walk its list, mark each life
// word on it and wake a sleeper: here that is the end of the process, for these
// threads never end before. Goroutines have no thread of their own, hence
// these. It is one set for the process, because the end of a process is.
var keepers struct {
	mu  sync.Mutex
	all []*keeper // guarded by mu
}

// maxNodes is how many words a keeper carries; the kernel walks 2048.
const maxNodes = 1024

type keeper struct {
	list    *robustList // guarded by keepers.mu after start; read by the kernel
	tid     uint32
	reached bool // for what others could spoil: the kernel stops at the first bad node
	stop    chan struct{}
	ended   chan struct{}
}

// remember puts the slot's life word on a list: from now on it tells of our
// death. It returns how to take it off again, which leaves the word 0. What
// other users can reach is kept apart (reached).
func remember(s slot, reached bool) (forget func(), err error) {
	keepers.mu.Lock()
	defer keepers.mu.Unlock()
	k, err := spareKeeper(reached)
	if err != nil {
		return nil, err
	}
	if !k.list.add(s, k.tid) {
		if k.list.empty() {
			k.end()
		}
		return nil, fault.New(fault.Protocol, "attach", "", errors.New("the memory was cut short"))
	}
	return func() {
		keepers.mu.Lock()
		defer keepers.mu.Unlock()
		k.list.remove(s)
		if k.list.empty() {
			k.end()
		}
	}, nil
}

// spareKeeper returns a keeper with room. Called with keepers.mu held.
func spareKeeper(reached bool) (*keeper, error) {
	for _, k := range keepers.all {
		if k.reached == reached && k.list.len() < maxNodes {
			return k, nil
		}
	}
	k := &keeper{reached: reached, stop: make(chan struct{}), ended: make(chan struct{})}
	started := make(chan error)
	go k.run(started)
	if err := <-started; err != nil {
		return nil, fault.New(fault.Unsupported, "attach", "", errors.New("the kernel keeps no robust list: "+err.Error()))
	}
	keepers.all = append(keepers.all, k)
	return k, nil
}

// run parks one locked thread. It is never unlocked: a thread with a list of
// its own is nobody else's, and ends with the goroutine.
func (k *keeper) run(started chan<- error) {
	defer close(k.ended)
	runtime.LockOSThread()
	list, tid, err := newRobustList()
	k.list, k.tid = list, tid
	started <- err
	if err == nil {
		<-k.stop
	}
}

// end ends a keeper whose list is empty. Called with keepers.mu held.
func (k *keeper) end() {
	for i, other := range keepers.all {
		if other == k {
			keepers.all = append(keepers.all[:i], keepers.all[i+1:]...)
			break
		}
	}
	close(k.stop)
	<-k.ended
}
