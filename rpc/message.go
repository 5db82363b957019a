// SPDX-License-Identifier: Apache-2.0

package rpc

// message is one message as it travels. Its bytes may belong to a pool.
type message struct {
	b          []byte
	pooled     *[]byte // nil: b is nobody's, or a loan of the reader's buffer
	owed       int     // what it has cost of the window and not given back
	compressed bool
	plain      int // of a compressed one whose length without that is known: so many bytes
}

// sizes are its length without compression, and as it travels.
func (m *message) sizes() (plain, packed int) {
	if m.compressed {
		return m.plain, len(m.b)
	}
	return len(m.b), len(m.b)
}

// copyMessage takes a copy of b, which is about to be overwritten.
func copyMessage(b []byte, compressed bool) message {
	if len(b) == 0 {
		return message{compressed: compressed}
	}
	p := pool.Get(len(b))
	copy(*p, b)
	return message{b: *p, pooled: p, compressed: compressed}
}

// own makes a loan a copy of our own.
func (m *message) own() {
	if m.pooled == nil && len(m.b) > 0 {
		owed := m.owed
		*m = copyMessage(m.b, m.compressed)
		m.owed = owed
	}
}

func (m *message) free() {
	if m.pooled != nil {
		pool.Put(m.pooled)
	}
	*m = message{}
}
