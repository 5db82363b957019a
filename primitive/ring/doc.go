// SPDX-License-Identifier: Apache-2.0

// Package ring is a byte ring between one producer and one consumer who need
// not trust each other.
//
// Its bytes lie in memory that is mapped twice in a row, so that any run of
// them is contiguous; its two counters lie in memory that only their owner can
// write. A counter only grows, modulo 2^64: the difference of the two is what
// the ring holds. Each end keeps its own counter privately and believes the
// peer's no further than it can check: docs/formats/shm.md has the argument.
package ring
