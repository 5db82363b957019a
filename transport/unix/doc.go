// SPDX-License-Identifier: Apache-2.0

// Package unix is the transport over unix sockets: raw bytes, the peer's
// identity from the kernel, open files beside the bytes.
package unix
