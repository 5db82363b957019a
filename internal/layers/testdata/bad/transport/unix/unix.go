// SPDX-License-Identifier: Apache-2.0

// Package unix imports its sibling.
package unix

import (
	"syscall"

	"example.test/bad/transport/tcp"
)

// Port is borrowed.
var Port = tcp.Port + syscall.Getpid()
