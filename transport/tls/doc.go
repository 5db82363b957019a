// SPDX-License-Identifier: Apache-2.0

// Package tls is the transport over TLS 1.3: raw bytes, encrypted, to any
// host, the peer's identity from its certificate.
package tls
