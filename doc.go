// SPDX-License-Identifier: Apache-2.0

// Package parley is the front door: Dial and Listen by address, where the
// address alone chooses shared memory, a unix socket, TCP, TLS, a FIFO, a
// child process or the process itself.
package parley
