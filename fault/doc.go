// SPDX-License-Identifier: Apache-2.0

// Package fault is Parley's closed vocabulary of errors: a Kind that can
// cross the wire, and an Error that says what failed, on what, why, and what
// to do about it.
package fault
