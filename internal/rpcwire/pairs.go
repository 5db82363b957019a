// SPDX-License-Identifier: Apache-2.0

package rpcwire

import "fmt"

// Pairs is metadata: keys and values by turns, each as bytes. A key may occur
// again.
type Pairs []byte

// AppendPair appends one key and value.
func AppendPair(p Pairs, key, value string) Pairs {
	return appendBytes(appendBytes(p, key), value)
}

// Check walks through all pairs.
func (p Pairs) Check() error {
	c := cursor{b: p}
	for len(c.b) > 0 {
		key := c.bytes()
		c.bytes()
		if c.bad || len(key) == 0 {
			return fmt.Errorf("%w: metadata that end early", ErrFrame)
		}
	}
	return nil
}

// Each calls f for each pair of p, which Check has passed.
func (p Pairs) Each(f func(key, value []byte)) {
	c := cursor{b: p}
	for len(c.b) > 0 {
		key := c.bytes()
		f(key, c.bytes())
	}
}
