// SPDX-License-Identifier: Apache-2.0

//go:build !race

package rpc_test

const (
	raced  = false
	rounds = 20
)
