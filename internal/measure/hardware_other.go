// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package measure

import "runtime"

// hardware names what the processor can run, and the system.
func hardware() (cpu, kernel string) { return runtime.GOARCH, runtime.GOOS }
