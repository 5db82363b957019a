// SPDX-License-Identifier: Apache-2.0

package fifo_test

import (
	"context"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

type denyAll struct{}

func (denyAll) Authorize(context.Context, auth.Identity, auth.Action, string) error {
	return fault.Denied
}

// slow decides only when the listener is closed.
type slow struct{}

func (slow) Authorize(ctx context.Context, _ auth.Identity, _ auth.Action, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}
