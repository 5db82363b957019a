// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package busypoll

const supported = false

func pending(int) bool { return false }
