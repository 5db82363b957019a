// SPDX-License-Identifier: Apache-2.0

package broadcast

// WithStart makes positions and numbers begin there instead of 0.
func (c Config) WithStart(position, seq uint64) Config {
	c.start, c.first = position, seq
	return c
}
