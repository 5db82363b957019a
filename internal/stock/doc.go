// SPDX-License-Identifier: Apache-2.0

// Package stock runs unchanged Go clients and servers (net/http, net/rpc,
// grpc-go) over any listener and any way to dial it.
package stock
