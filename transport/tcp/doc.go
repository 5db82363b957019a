// SPDX-License-Identifier: Apache-2.0

// Package tcp is the transport over plain TCP: raw bytes, on loopback unless
// the address says ?insecure=true, the peer's uid asked of the kernel there.
package tcp
