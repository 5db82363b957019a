// SPDX-License-Identifier: Apache-2.0

// Package waitfd is a descriptor in Go's poller, on which many goroutines wait
// with a context each.
package waitfd
