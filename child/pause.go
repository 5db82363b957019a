// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// pauses says how long to wait before each restart, and when it is enough.
type pauses struct {
	first, max time.Duration
	perMinute  int

	next   time.Duration
	starts []time.Time // within the last minute
}

func (c Config) pauses() *pauses {
	return &pauses{first: c.FirstPause, max: c.MaxPause, perMinute: c.MaxPerMinute, next: c.FirstPause}
}

// after returns the pause before the restart of a child that lived so long, or
// an error once there have been too many.
func (p *pauses) after(now time.Time, lived time.Duration) (time.Duration, error) {
	recent := p.starts[:0]
	for _, t := range p.starts {
		if now.Sub(t) < time.Minute {
			recent = append(recent, t)
		}
	}
	if p.starts = recent; p.perMinute > 0 && len(recent) >= p.perMinute {
		return 0, fault.New(fault.Exhausted, "restart child", "", fmt.Errorf("it was restarted %d times within a minute", len(recent)))
	}
	p.starts = append(p.starts, now)
	if lived > p.max {
		p.next = p.first
	}
	d := p.next
	p.next = min(2*d, p.max)
	return d - rand.N(d/2+1), nil
}
