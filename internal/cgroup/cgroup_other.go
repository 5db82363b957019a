// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package cgroup

import "math"

// CPUQuota knows no limit on this system.
func CPUQuota() (float64, bool) { return math.Inf(1), false }

// Throttled is always 0 on this system.
func Throttled() int64 { return 0 }

// MemoryFree knows no limit on this system.
func MemoryFree() (int64, bool) { return math.MaxInt64, false }
