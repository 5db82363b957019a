// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package endpoint

import (
	"context"
	"time"
)

// notice notices nothing here: Watch retries with a growing pause.
type notice struct{}

func (n *notice) open(string) {}

func (n *notice) wait(ctx context.Context, _ string, d time.Duration) (bool, time.Duration) {
	pause(ctx, d)
	return false, maxBlindRetry
}

func (n *notice) close() error { return nil }
