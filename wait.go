// SPDX-License-Identifier: Apache-2.0

package parley

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// errWaited ends a waitFor whose own limit has passed, not its caller's.
var errWaited = errors.New("waited long enough")

// waitFor dials again while nobody listens, or a listener ended before it had
// accepted us, as one does that is started anew: as soon as something changes at
// the address, where the system tells, else with growing pauses. After limit
// its error is the last dial's, and says how long it has waited.
func waitFor(ctx context.Context, limit time.Duration, addr endpoint.Address, dial dialFunc) (transport.Conn, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, limit, errWaited)
	defer cancel()
	watch := endpoint.NewWatch(addr)
	defer func() { _ = watch.Close() }()
	for {
		c, err := dial(ctx)
		if err == nil || !mayChange(addr, err) {
			return c, err
		}
		if werr := watch.Wait(waiting); errors.Is(werr, errWaited) {
			return nil, waited(limit, err)
		} else if werr != nil {
			return nil, fault.New(fault.KindOf(werr), "dial", addr.String(), errors.Join(context.Cause(ctx), err))
		}
	}
}

// mayChange reports whether to try again. A child of exec: that has died is
// another matter than a listener that has: it would only be started once more.
func mayChange(addr endpoint.Address, err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable:
		return true
	case fault.PeerDied:
		return addr.Scheme != endpoint.Exec
	default:
		return false
	}
}

// waited is err, whose text also says that it did not happen at once.
func waited(limit time.Duration, err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	w := *e
	w.Err = fmt.Errorf("after waiting %v: %w", limit, e.Err)
	return &w
}
