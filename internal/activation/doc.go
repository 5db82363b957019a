// SPDX-License-Identifier: Apache-2.0

// Package activation finds the listening sockets that whoever started this
// process has bound for it, by systemd's LISTEN_FDS convention.
package activation
