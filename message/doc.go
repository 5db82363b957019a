// SPDX-License-Identifier: Apache-2.0

// Package message sends and receives whole messages over a transport.Conn.
package message
