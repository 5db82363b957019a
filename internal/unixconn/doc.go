// SPDX-License-Identifier: Apache-2.0

// Package unixconn is how Parley opens unix sockets: bound with a stated mode,
// dialled with patience and clear errors, and the peer asked of the kernel.
package unixconn
