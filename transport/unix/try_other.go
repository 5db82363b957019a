// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package unix

// TryWrite writes nothing: this system cannot tell what fits.
func (c *Conn) TryWrite([]byte) (int, error) { return 0, nil }
