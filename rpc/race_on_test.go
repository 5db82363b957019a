// SPDX-License-Identifier: Apache-2.0

//go:build race

package rpc_test

// raced says that the race detector watches. It makes everything many times
// slower, so the long tests go fewer ways.
const (
	raced  = true
	rounds = 4 // of what is done again and again
)
