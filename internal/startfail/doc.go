// SPDX-License-Identifier: Apache-2.0

// Package startfail says why a program could not be started.
package startfail
