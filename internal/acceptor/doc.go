// SPDX-License-Identifier: Apache-2.0

// Package acceptor turns a raw listener into a transport.Listener: it runs
// each backend's handshake off the accept path, bounded in number and time,
// asks policy, counts, and hands over what passed.
package acceptor
