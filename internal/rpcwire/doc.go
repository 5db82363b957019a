// SPDX-License-Identifier: Apache-2.0

// Package rpcwire is the byte layout of a call.
//
// docs/formats/rpc.md is its text.
package rpcwire
