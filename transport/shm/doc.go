// SPDX-License-Identifier: Apache-2.0

// Package shm is the transport through shared memory: a byte ring each way,
// in memory that only its writer can change, beside the unix socket on which
// the two processes met.
//
// docs/formats/shm.md has every byte.
package shm
