// SPDX-License-Identifier: Apache-2.0

// Package policy decides who may do what on what by a list of rules: default
// deny, deny beats allow, and the owner is only bound by a rule that names it.
package policy
