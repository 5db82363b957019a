// SPDX-License-Identifier: Apache-2.0

// Package loglines logs what a child writes, line by line.
package loglines
