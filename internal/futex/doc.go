// SPDX-License-Identifier: Apache-2.0

// Package futex sleeps in the kernel until a shared 32-bit word changes.
package futex
