// SPDX-License-Identifier: Apache-2.0

// Package token is a file of bearer tokens: opaque secrets by which a peer
// proves a name, each with a scope and an end.
//
// The file holds one JSON object a line and only the secrets' SHA-256. A
// secret has 256 random bits, so that a slow hash would protect nothing more.
package token
