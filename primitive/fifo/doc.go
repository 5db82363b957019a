// SPDX-License-Identifier: Apache-2.0

// Package fifo is pipes in Go's poller, named and anonymous: made, opened
// without blocking, watched for who comes and goes, and joined in the kernel.
//
// Splice moves bytes between a pipe and another descriptor without a copy
// through the program; Tee gives a second pipe what a first one holds;
// Vmsplice puts memory into a pipe page by page.
package fifo
