// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"unsafe"

	"example.test/bad/transport"
)

// Kind is a kind of failure.
type Kind uint8

// The kinds.
const (
	Other Kind = iota
	Denied
)

// Up reaches up.
var Up = unsafe.Sizeof(transport.Name)
