// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"os"
)

// Barrier is a handle on a place where a number of parties wait for each
// other, again and again. Who has arrived and dies, or gives up, has not
// arrived. Its methods may be called from any goroutines at once, each a party of
// its own, but none while Close runs.
type Barrier struct{ *handle }

// A record is the round, and how many goroutines of the handle have arrived.
const partyBits = 32

// AttachBarrier makes a handle on the barrier that Format made in mem: see
// AttachMutex.
func AttachBarrier(mem []byte, file *os.File, c Config) (*Barrier, error) {
	h, err := attachBytes(mem, file, KindBarrier, c)
	if err != nil {
		return nil, err
	}
	return &Barrier{h}, nil
}

// Parties is how many have to arrive.
func (b *Barrier) Parties() int64 { return int64(b.limit) }

// Wait arrives, and waits until all parties have. last is true for the one that
// completed the round. When ctx ends before, the arrival is taken back.
func (b *Barrier) Wait(ctx context.Context) (last bool, err error) {
	err = b.safely(func() (err error) { last, err = b.wait(ctx); return err })
	return last, err
}

func (b *Barrier) wait(ctx context.Context) (last bool, err error) {
	const op = "wait at barrier"
	if err := ctx.Err(); err != nil {
		return false, b.ended(ctx, op)
	}
	if _, err := b.enter(ctx, op); err != nil {
		return false, err
	}
	round := b.value.Load()
	b.records[b.me].Store(b.arrival(b.arrivedOf(b.me, round)+1, round))
	last = b.arrived() >= int64(b.limit)
	if last {
		b.value.Store(round + 1)
		b.ringWaiting()
	}
	b.leave()
	if last {
		return true, nil
	}
	passed := func() bool { return b.value.Load() != round }
	err = b.await(ctx, op, 1, passed)
	if err == nil || b.withdrawArrival(round) {
		return false, nil
	}
	return false, err
}

// withdrawArrival takes one arrival back, unless the round has been completed.
// If somebody is stopped within the monitor it does so all the same: then the
// round may be completed with it.
func (b *Barrier) withdrawArrival(round uint64) (passed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), monitorPatience)
	defer cancel()
	if _, err := b.enter(ctx, "wait at barrier"); err == nil {
		defer b.leave()
	} else if b.enterHandle("") != nil {
		return false // closed: Close has taken all of them back
	} else {
		defer b.inside.Done()
	}
	for mine := b.records[b.me]; b.value.Load() == round; {
		has, n := mine.Load(), b.arrivedOf(b.me, round)
		if n == 0 || mine.CompareAndSwap(has, has-1) {
			return false
		}
	}
	return true
}

func (b *Barrier) arrival(n, round uint64) uint64 { return round<<partyBits | n }

// arrivedOf is how many of slot i's goroutines have arrived in this round.
func (b *Barrier) arrivedOf(i int, round uint64) uint64 {
	r := b.records[i].Load()
	if r>>partyBits != round&(1<<(64-partyBits)-1) {
		return 0
	}
	return r & (1<<partyBits - 1)
}

// Arrived is how many wait for the others. It may have changed since.
func (b *Barrier) Arrived() (n int64) {
	_ = b.safely(func() error { n = b.arrived(); return nil })
	return n
}

func (b *Barrier) arrived() int64 {
	sum, round := uint64(0), b.value.Load()
	for i := range b.used() {
		sum += min(b.arrivedOf(i, round), b.limit)
	}
	return int64(sum)
}
