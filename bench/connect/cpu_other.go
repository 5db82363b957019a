// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import "time"

// ownCPU is not known here: CPU columns read zero.
func ownCPU() time.Duration { return 0 }
