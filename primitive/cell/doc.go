// SPDX-License-Identifier: Apache-2.0

// Package cell is a register in shared memory that holds the latest value of
// a pointer-free type.
//
// One Writer sets it, any number of Readers in other processes get it or watch
// it change. Set and Get take no lock and make no system call (Set makes one
// unless Config.NoWatch says that nobody watches); no reader sees half of one
// value and half of another, not even when the writer is killed in the middle
// of a Set. Readers need the memory read-only, and so can disturb nobody. A
// hostile writer can give its readers wrong values, and nothing worse:
// docs/formats/cell.md has the layout and the argument.
//
// New and Open work on any memory; CreateNamed and OpenNamed on a name, where
// the value outlasts its writer, and readers learn when that has died.
package cell
