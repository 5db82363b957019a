// SPDX-License-Identifier: Apache-2.0

// Package fifo connects processes over a pair of named pipes, PATH.c2s and
// PATH.s2c, which carry raw bytes for one peer at a time (docs/formats/fifo.md).
package fifo
