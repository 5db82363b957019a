// SPDX-License-Identifier: Apache-2.0

// Package transport is the contract of a connection: what every backend below
// it gives (Conn, Listener), and what some also give (Lender, Framer, FilePasser).
//
// Each backend is a package of its own beneath this one, and passes the one
// suite in transporttest.
package transport
