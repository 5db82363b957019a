// SPDX-License-Identifier: Apache-2.0

// Package inproc is the transport within one process: a buffered pair of
// streams, found by name.
package inproc
