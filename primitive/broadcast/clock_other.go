// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package broadcast

// monotonic is never used: without sealed memory there is no publisher.
func monotonic() func() int64 { return func() int64 { return 0 } }
