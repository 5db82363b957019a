// SPDX-License-Identifier: Apache-2.0

// Package sockdiag asks the kernel whose the other end of a loopback TCP
// connection is.
package sockdiag
