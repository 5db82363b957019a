// SPDX-License-Identifier: Apache-2.0

// Package measure times a connection between two processes: how long a round
// trip takes, how many bytes a second go through, and the processor time that
// both sides spend on it.
//
// One side runs Serve, the other a Client. Nothing else may use the
// connection meanwhile.
package measure
