// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// lockOfTheDead: a process dies with a lock, and the next one gets it, told.
func lockOfTheDead(ctx context.Context, stage *peer.Stage) (finding, error) {
	took, died, err := killedInTurn(ctx, stage, peer.TurnRole{Kind: procsync.KindMutex, Name: "demo"}, 1)
	if err == nil && !died {
		err = errors.New("the next one was not told that an owner had died")
	}
	return finding{
		fmt.Sprintf("its holder was killed, the next one had it after %s ms, and was told", milliseconds(took)),
		map[string]any{"recovered_ns": took},
	}, err
}

// permitOfTheDead: what a process held of a semaphore goes to who waits.
func permitOfTheDead(ctx context.Context, stage *peer.Stage) (finding, error) {
	took, _, err := killedInTurn(ctx, stage, peer.TurnRole{Kind: procsync.KindSemaphore, Name: "demo", Count: 2}, 2)
	return finding{
		fmt.Sprintf("two held both permits, one was killed, a third had its permit after %s ms", milliseconds(took)),
		map[string]any{"recovered_ns": took},
	}, err
}

// killedInTurn fills an object with holders, lets one more wait, and kills the
// first.
func killedInTurn(ctx context.Context, stage *peer.Stage, role peer.TurnRole, holders int) (took time.Duration, died bool, err error) {
	var first *peer.TurnPeer
	for range holders {
		p, err := stage.Turn(ctx, role)
		if err != nil {
			return 0, false, err
		}
		defer p.Close()
		if _, err := p.Await(ctx); err != nil {
			return 0, false, err
		}
		if first == nil {
			first = p
		}
	}
	next, err := stage.Turn(ctx, role)
	if err != nil {
		return 0, false, err
	}
	defer next.Close()
	killed := time.Now()
	if err := first.Kill(); err != nil {
		return 0, false, err
	}
	died, err = next.Await(ctx)
	return time.Since(killed), died, err
}

// barrierOfThree: one of those that have come dies, so it takes another before
// all go on.
func barrierOfThree(ctx context.Context, stage *peer.Stage) (f finding, err error) {
	role := peer.TurnRole{Kind: procsync.KindBarrier, Name: "demo", Count: 3}
	var ps []*peer.TurnPeer
	defer func() {
		for _, p := range ps {
			p.Close()
		}
	}()
	come := func() error {
		p, err := stage.Turn(ctx, role)
		if err == nil {
			ps = append(ps, p)
		}
		return err
	}
	if err := errors.Join(come(), come()); err != nil {
		return f, err
	}
	if err := ps[0].Kill(); err != nil {
		return f, err
	}
	ps[0].Close() // until it has gone
	if err := errors.Join(come(), come()); err != nil {
		return f, err
	}
	for _, p := range ps[1:] {
		if _, err := p.Await(ctx); err != nil {
			return f, err
		}
	}
	return finding{"two of three came, one of them was killed; two more came, and three went on", map[string]any{"passed": len(ps) - 1}}, nil
}
