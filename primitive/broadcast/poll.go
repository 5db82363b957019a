// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"time"
)

const (
	pollMin = 50 * time.Microsecond
	pollMax = time.Millisecond
)

// poll waits without being woken, each time for a quarter of the time that it
// has waited already, until something moved: so what it oversleeps is in
// proportion.
type poll struct{ waited time.Duration }

func (p *poll) reset() { p.waited = 0 }

func (p *poll) wait(ctx context.Context) error {
	pause := min(max(pollMin, p.waited/4), pollMax)
	p.waited += pause
	return rest(ctx, pause)
}

// rest waits for d.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
