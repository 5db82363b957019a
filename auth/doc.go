// SPDX-License-Identifier: Apache-2.0

// Package auth says who is calling: an Identity, how it is known, and the
// one-method Authorizer that decides what it may do.
package auth
