// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"sync"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// Defaults of a Budget.
const (
	DefaultBudgetMax         = 1 << 30
	DefaultBudgetPerIdentity = 512 << 20
)

// DefaultBudget is the budget of every connection that names no other. There
// is one for the process because there is one memory for the process.
var DefaultBudget = new(Budget)

// Budget bounds the memory of attached rings, ours and the peers' alike, for
// each page of both is reserved. The zero Budget has the default limits. It
// may be shared by any number of listeners and dialers; its limits may be set
// only before it is first used.
type Budget struct {
	Max         int64 // bytes in all; default DefaultBudgetMax
	PerIdentity int64 // bytes for the connections of one peer identity; default DefaultBudgetPerIdentity

	mu   sync.Mutex
	used int64            // guarded by mu
	by   map[string]int64 // guarded by mu; entries that reach zero are removed
}

// Used is the number of bytes taken.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// share is the part of what is left that one ring may have by default.
const share = 128

// ringSize is the default size of the next ring of id.
func (b *Budget) ringSize(id auth.Identity) int {
	most, each := b.limits()
	b.mu.Lock()
	left := min(most-b.used, each-b.by[id.String()])
	b.mu.Unlock()
	size := max(MinRingSize, headSize())
	for 2*size <= DefaultRingSize && int64(2*size)*share <= left {
		size *= 2
	}
	return size
}

func (b *Budget) limits() (most, each int64) {
	most, each = b.Max, b.PerIdentity
	if most <= 0 {
		most = DefaultBudgetMax
	}
	if each <= 0 {
		each = DefaultBudgetPerIdentity
	}
	return most, each
}

func (b *Budget) take(id auth.Identity, n int64) error {
	most, each := b.limits()
	who := id.String()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > most || b.by[who]+n > each {
		return fault.New(fault.Exhausted, "attach rings", "",
			fmt.Errorf("%d bytes asked; %d of %d are in use, %d of %d by %s", n, b.used, most, b.by[who], each, who)).
			WithHint("raise the budget, or choose smaller rings")
	}
	if b.by == nil {
		b.by = map[string]int64{}
	}
	b.used += n
	b.by[who] += n
	return nil
}

func (b *Budget) give(id auth.Identity, n int64) {
	who := id.String()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.by[who] -= n; b.by[who] == 0 {
		delete(b.by, who)
	}
}
