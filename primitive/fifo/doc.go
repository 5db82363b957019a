// SPDX-License-Identifier: Apache-2.0

// Package fifo is named pipes in Go's poller: made, opened without blocking,
// and watched for who comes and goes.
package fifo
