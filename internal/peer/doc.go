// SPDX-License-Identifier: Apache-2.0

// Package peer is the other process of a demonstration or a measurement: this
// program once more, in a hidden role, which does what a connection's first
// byte asks for.
//
// A Stage starts peers; Serve and Intrude are what they run. The control line
// between the two is the child's stdin, whose end ends it, and its stdout, on
// which it tells what happens, one Event a line of JSON.
package peer
