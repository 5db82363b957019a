// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/parley-ipc/parley/fault"
)

// MaxHeaders is the most that an item's headers can take encoded, in bytes.
const MaxHeaders = 64 << 10

// Headers are keys with values that go with an item's data, kept as they are
// sent. A key may occur more than once. The zero Headers are none. Those of a
// received item are valid as long as its data: Clone keeps them.
//
//	each header: u16 length of the key, u16 length of the value, key, value
type Headers struct{ raw []byte }

// NewHeaders encodes keys, each followed by its value.
func NewHeaders(pairs ...string) (Headers, error) {
	if len(pairs)%2 != 0 {
		return Headers{}, fault.New(fault.Invalid, "headers", "", errors.New("a key without a value"))
	}
	var raw []byte
	for i := 0; i < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		if key == "" || len(key) > 0xffff || len(value) > 0xffff {
			return Headers{}, fault.New(fault.Invalid, "headers", fmt.Sprintf("%.40q", key), errors.New("a key of 1 to 65535 bytes, and a value of at most as many"))
		}
		raw = binary.LittleEndian.AppendUint16(raw, uint16(len(key)))
		raw = binary.LittleEndian.AppendUint16(raw, uint16(len(value)))
		raw = append(append(raw, key...), value...)
	}
	if len(raw) > MaxHeaders {
		return Headers{}, fault.New(fault.TooLarge, "headers", "", fmt.Errorf("%d bytes, at most %d", len(raw), MaxHeaders))
	}
	return Headers{raw}, nil
}

// ReadHeaders takes what an engine received, and keeps it as it is: what is
// malformed from some point on has no headers from there on.
func ReadHeaders(raw []byte) Headers { return Headers{raw} }

// Bytes is the encoding, for engines to send.
func (h Headers) Bytes() []byte { return h.raw }

// Clone returns headers of their own memory.
func (h Headers) Clone() Headers { return Headers{append([]byte(nil), h.raw...)} }

// All goes through keys and values in their order.
func (h Headers) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := h.raw; ; {
			key, value, after, ok := cutHeader(rest)
			if !ok || !yield(string(key), string(value)) {
				return
			}
			rest = after
		}
	}
}

// Get returns the first value of the key.
func (h Headers) Get(key string) (string, bool) {
	for rest := h.raw; ; {
		k, v, after, ok := cutHeader(rest)
		if !ok {
			return "", false
		}
		if string(k) == key {
			return string(v), true
		}
		rest = after
	}
}

// cutHeader reads the first header of raw, which may come from anybody.
func cutHeader(raw []byte) (key, value, rest []byte, ok bool) {
	if len(raw) < 4 {
		return nil, nil, nil, false
	}
	k, v := int(binary.LittleEndian.Uint16(raw)), int(binary.LittleEndian.Uint16(raw[2:]))
	if raw = raw[4:]; len(raw) < k+v {
		return nil, nil, nil, false
	}
	return raw[:k], raw[k : k+v], raw[k+v:], true
}
