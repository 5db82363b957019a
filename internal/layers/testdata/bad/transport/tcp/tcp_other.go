// SPDX-License-Identifier: Apache-2.0

// Package tcp carries too much.
package tcp

import _ "example.test/heavy"

// Port is a port.
var Port = 1
