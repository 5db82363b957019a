// SPDX-License-Identifier: Apache-2.0

// Package rpc is calls and streams over a connection, for the stubs and the
// handlers that protoc-gen-go-grpc makes.
//
// A Server is a grpc.ServiceRegistrar, a Client a grpc.ClientConnInterface. A
// connection carries calls both ways; stock gRPC clients reach the same server
// at the same socket.
package rpc
