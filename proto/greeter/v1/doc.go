// SPDX-License-Identifier: Apache-2.0

// Package greeter is the service that examples, demo and tests of the command
// call.
//
// It is generated from greeter.proto, but for [Polite], which implements it.
package greeter

//go:generate ../../../.ci/protoc greeter/v1/greeter.proto
