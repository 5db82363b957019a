// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"log/slog"
	"sync"
	"time"
)

const linesAMinute = 60

// Limit bounds how much strangers can make us log: whoever reaches a port may
// fail there as often as it likes. Its zero value is ready.
type Limit struct {
	mu     sync.Mutex
	since  time.Time // guarded by mu: when the minute began
	said   int       // guarded by mu: lines of this minute
	unsaid int       // guarded by mu: those that it kept back
}

// Warn logs unless this minute has had its lines. The first one of the next
// minute tells how many were kept back.
func (l *Limit) Warn(logger *slog.Logger, msg string, args ...any) {
	l.mu.Lock()
	now, unsaid := time.Now(), 0
	if now.Sub(l.since) >= time.Minute {
		unsaid = l.unsaid
		l.since, l.said, l.unsaid = now, 0, 0
	}
	over := l.said >= linesAMinute
	if over {
		l.unsaid++
	} else {
		l.said++
	}
	l.mu.Unlock()
	if over {
		return
	}
	if unsaid > 0 {
		args = append(args, "unlogged", unsaid)
	}
	logger.Warn(msg, args...)
}
