// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"fmt"
	"time"
)

// lastWord is how long a function of the program's may take to say why it
// ended, once its context has.
const lastWord = 200 * time.Millisecond

// bounded calls f, and leaves it behind if it does not mind its context: it is
// the program's, and must not stop the supervisor.
func (p *Process) bounded(ctx context.Context, f func(context.Context, *Process) error) error {
	said := make(chan error, 1)
	go func() { said <- f(ctx, p) }()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
	}
	late := time.NewTimer(lastWord)
	defer late.Stop()
	select {
	case err := <-said:
		return err
	case <-late.C:
		return fmt.Errorf("it does not end with its context: %w", context.Cause(ctx))
	}
}
