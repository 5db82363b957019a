// SPDX-License-Identifier: Apache-2.0

// Package child starts programs as supervised children and connects to each
// over a socket that it inherits, with shared memory where both sides can
// (docs/formats/child.md).
//
// Start is the parent's side; Listen and Connect are the child's.
package child
