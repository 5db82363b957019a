// SPDX-License-Identifier: Apache-2.0

// Package demo shows that every mechanism works on this machine: it plays each
// between real processes, checks what happens, and reports it as tables.
//
// To add a mechanism, add a row to a section in sections.go; a mechanism of
// another shape gets a section with columns of its own.
package demo
