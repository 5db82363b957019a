// SPDX-License-Identifier: Apache-2.0

// Package layers holds the house rules that a machine can check, as tests
// over the source of the whole module.
//
// Each rule is one function from a tree to a list of violations; its
// exceptions stand in tables beside it, each with its reason, and an
// exception that excuses nothing is a violation too. TestRulesCanFail runs
// every rule on testdata/bad, which breaks all of them.
package layers
