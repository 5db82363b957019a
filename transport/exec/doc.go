// SPDX-License-Identifier: Apache-2.0

// Package exec connects a program to a child that it starts, over the child's
// stdin and stdout or, where the child takes the descriptor that PARLEY_FD
// offers, over a socketpair that also carries files (docs/formats/exec.md).
//
// Dial is the parent's side; Stdio and ListenStdio are the child's.
package exec
