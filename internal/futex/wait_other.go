// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package futex

import (
	"sync/atomic"
	"time"
)

// Wake wakes nobody: nobody sleeps here.
func Wake(*atomic.Uint32, int) int { return 0 }

// WakePrivate wakes nobody: nobody sleeps here.
func WakePrivate(*atomic.Uint32, int) int { return 0 }

// Wait cannot wait on this system: rested is false.
func Wait(*atomic.Uint32, uint32, *atomic.Uint32, uint32, time.Duration) (overslept, rested bool) {
	return false, false
}

func wait(*atomic.Uint32, uint32) (rested bool) { return false }

// WaitAny cannot wait on this system: rested is false.
func WaitAny([]Word, *atomic.Uint32, uint32, time.Duration) (overslept, rested bool) {
	return false, false
}
