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

// poll waits without being woken: longer each time, until something moved.
type poll struct{ pause time.Duration }

func (p *poll) reset() { p.pause = 0 }

func (p *poll) wait(ctx context.Context) error {
	p.pause = min(max(pollMin, 2*p.pause), pollMax)
	return rest(ctx, p.pause)
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
