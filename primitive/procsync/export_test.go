// SPDX-License-Identifier: Apache-2.0

package procsync

import "sync/atomic"

// OnPassed makes f hear of each lock got from the queue: how many acquisitions
// there were in between. Before use.
func (m *Mutex) OnPassed(f func(passed uint64)) { m.onPassed = f }

// Reached makes c behave as if other users could reach what it opens.
func Reached(c Config) Config { c.reached = true; return c }

// Words shows memory as words.
func Words(b []byte) []atomic.Uint64 { return words(b, len(b)/8) }
