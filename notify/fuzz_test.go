// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"testing"
)

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x01\x00\x05hello"))
	f.Add([]byte("\x01\x00\x00"))
	f.Add([]byte("\x02\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, err := read(bytes.NewReader(b))
		if err == nil && !bytes.Equal(payload, b[headerSize:headerSize+len(payload)]) {
			t.Errorf("%q reads as %q", b, payload)
		}
	})
}
