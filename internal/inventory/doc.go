// SPDX-License-Identifier: Apache-2.0

// Package inventory is one table of every IPC object that this user may see,
// the kernel's and Parley's.
package inventory
