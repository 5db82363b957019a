// SPDX-License-Identifier: Apache-2.0

// Package rpctest compares calls with calls: it plays the same scenes on
// grpc-go and on another backend, and wants the same to be seen on both.
package rpctest
