// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// MaxText is how many bytes a Text holds.
const MaxText = 8188

// Text is a value of 0 to MaxText bytes, for those who agree on no other type:
// what `parley cell set` sets. All of it is copied by each Set and Get: some
// microseconds.
type Text struct {
	Length uint32
	Data   [MaxText]byte
}

// TextOf copies b into a Text; more than MaxText bytes are fault.TooLarge.
func TextOf(b []byte) (*Text, error) {
	if len(b) > MaxText {
		return nil, fault.New(fault.TooLarge, "set cell", "", fmt.Errorf("%d bytes, at most %d", len(b), MaxText)).
			WithHint("put large values into a segment or a file, and its name into the cell")
	}
	t := &Text{Length: uint32(len(b))}
	copy(t.Data[:], b)
	return t, nil
}

// Bytes is the value, which lies in t. A length that a hostile writer has made
// too large counts as MaxText.
func (t *Text) Bytes() []byte { return t.Data[:min(t.Length, MaxText)] }
