// SPDX-License-Identifier: Apache-2.0

// Package tcpnet binds and connects the TCP sockets beneath the tcp and tls
// transports.
package tcpnet
