// SPDX-License-Identifier: Apache-2.0

package shm

import "time"

// WithStart makes positions start at start instead of 0.
func (o Options) WithStart(start uint64) Options { o.start = start; return o }

// Within makes traffic that comes within d worth rings, instead of worthTime.
func (o Options) Within(d time.Duration) Options { o.within = d; return o }

// WithSafety makes sleeps end after d instead of safetyTime.
func (o Options) WithSafety(d time.Duration) Options { o.safety = d; return o }
