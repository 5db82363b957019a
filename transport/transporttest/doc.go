// SPDX-License-Identifier: Apache-2.0

// Package transporttest is the one suite that every transport passes, within
// a process and between two.
//
// A backend describes itself in a Backend and adds one test:
//
//	func backend() transporttest.Backend { … }
//
//	func TestMain(m *testing.M) {
//		proctest.Main(m, transporttest.Roles(backend()))
//	}
//
//	func TestSuite(t *testing.T) { transporttest.Run(t, backend()) }
//
// Environment: PARLEY_KILLS is the number of kills on each side (10),
// PARLEY_SEED repeats a run's kills, PARLEY_CONNS is the number of connections
// that one listener holds at once (1000).
package transporttest
