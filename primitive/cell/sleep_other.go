// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package cell

import "sync/atomic"

func wakeAll(*atomic.Uint32) {}

func wakePrivate(*atomic.Uint32) {}

func sleep(*atomic.Uint32, uint32, *atomic.Uint32, uint32) (overslept, rested bool) {
	return false, false
}
