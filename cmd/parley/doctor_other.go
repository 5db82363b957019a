// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "runtime"

// systemFindings has one row here: most of what is checked is Linux's.
func systemFindings() []finding {
	return []finding{{"system", stateNote, runtime.GOOS + ": inproc, unix, tcp, tls and message work here, untested; the rest needs Linux", ""}}
}
