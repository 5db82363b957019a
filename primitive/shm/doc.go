// SPDX-License-Identifier: Apache-2.0

// Package shm is shared memory as the kernel knows it: anonymous segments
// that are reserved, sealed, checked and mapped.
package shm
