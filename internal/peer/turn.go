// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// TurnRole is a child that waits for its turn at an object with a name, in the
// stage's runtime directory, and keeps it until it is ended.
type TurnRole struct {
	Kind  procsync.Kind `json:"kind"` // KindMutex, KindSemaphore or KindBarrier
	Name  string        `json:"name"`
	Count int64         `json:"count,omitempty"` // permits or parties
}

func runTurn(ctx context.Context, role TurnRole, tell func(Event)) (err error) {
	wait, end, err := role.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	tell(Event{What: Listening})
	died := false
	switch err := wait(ctx); {
	case errors.Is(err, procsync.ErrOwnerDied):
		died = true
	case err != nil:
		return err
	}
	tell(Event{What: HasTurn, Died: died})
	<-ctx.Done()
	return nil
}

func (role TurnRole) open(ctx context.Context) (wait func(context.Context) error, end func() error, err error) {
	c := procsync.Config{Label: "demo"}
	switch role.Kind {
	case procsync.KindMutex:
		m, err := procsync.OpenMutex(ctx, role.Name, c)
		if err != nil {
			return nil, nil, err
		}
		return m.Lock, m.Close, nil
	case procsync.KindSemaphore:
		s, err := procsync.OpenSemaphore(ctx, role.Name, role.Count, c)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) error { _, err := s.Acquire(ctx, 1); return err }, s.Close, nil
	case procsync.KindBarrier:
		b, err := procsync.OpenBarrier(ctx, role.Name, role.Count, c)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) error { _, err := b.Wait(ctx); return err }, b.Close, nil
	default:
		return nil, nil, fault.New(fault.Invalid, "role", role.Name, errors.New("no turns at a "+role.Kind.String()))
	}
}

// TurnPeer is a child that waits for its turn.
type TurnPeer struct{ proc *process }

// Turn starts a child that waits for its turn.
func (s *Stage) Turn(ctx context.Context, role TurnRole) (*TurnPeer, error) {
	proc, err := s.start(Role{Turn: &role}, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if _, err := expect(ctx, proc.events, Listening); err != nil {
		return nil, errors.Join(err, proc.end(failTime))
	}
	return &TurnPeer{proc}, nil
}

// Await waits until it is the child's turn, and says whether whoever had it
// before has died.
func (p *TurnPeer) Await(ctx context.Context) (died bool, err error) {
	e, err := expect(ctx, p.proc.events, HasTurn)
	return e.Died, err
}

// Kill is SIGKILL.
func (p *TurnPeer) Kill() error { return p.proc.kill() }

// Close ends the child. How a killed one ended is no news.
func (p *TurnPeer) Close() { _ = p.proc.end(failTime) }
