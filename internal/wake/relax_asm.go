// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64 || 386

package wake

// relax tells the processor n times that we spin: it saves power, gives way to
// the sibling thread and leaves the loop cheaply. Go has no name for it.
//
//go:noescape
func relax(n uint32)
