// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	denialEvery = time.Minute
	maxDenials  = 1024 // distinct (who, what) remembered; past it the oldest minute is forgotten
)

// LogDenials returns next with a log line for what it denies: once a minute
// for each (who, what), with the rule that decided, as next's error tells it.
func LogDenials(next Authorizer, logger *slog.Logger) Authorizer {
	return &denialLog{next: next, logger: logger, last: map[string]time.Time{}}
}

type denialLog struct {
	next   Authorizer
	logger *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time // guarded by mu
}

func (d *denialLog) Authorize(ctx context.Context, id Identity, action Action, resource string) error {
	err := d.next.Authorize(ctx, id, action, resource)
	if err != nil && d.due(id.String()+" "+string(action)+" "+resource) {
		d.logger.Warn("denied", "who", id.String(), "method", string(id.Method), "action", string(action), "resource", resource, "pid", id.PID, "reason", err)
	}
	return err
}

func (d *denialLog) due(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.last[key]) < denialEvery {
		return false
	}
	if len(d.last) >= maxDenials {
		clear(d.last)
	}
	d.last[key] = now
	return true
}
