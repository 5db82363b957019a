// SPDX-License-Identifier: Apache-2.0

// Package engine opens what hands out topics by name: one address says how
// and where they live.
//
//	mem://NAME         in shared memory, between the processes of one user, without a daemon
//	mem://USER@NAME    another user's, as far as that user's policy lets us
package engine
