// SPDX-License-Identifier: Apache-2.0

// Package turns bounds how many connections of each peer are under way to be
// made, and lets the next ones stand in line.
package turns
