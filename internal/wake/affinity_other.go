// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package wake

import "runtime"

func affinity() int { return runtime.NumCPU() }
