// SPDX-License-Identifier: Apache-2.0

// Package topictest is the suite that every engine's topics pass.
//
//	func TestSuite(t *testing.T) {
//		topictest.Run(t, topictest.Backend{Open: func(t testing.TB) func() topictest.Engine { … }})
//	}
package topictest
