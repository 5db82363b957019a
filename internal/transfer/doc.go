// SPDX-License-Identifier: Apache-2.0

// Package transfer sends files over a message.Conn, each checked and
// acknowledged.
package transfer
