// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzMessage(f *testing.F) {
	n := nonce{1, 2, 3, 4, 5, 6, 7, 8}
	good := encode(takeMagic, n)
	f.Add(good[:])
	f.Add([]byte(strings.Repeat("x", messageSize)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		copy(m[:], b)
		if err := m.check(takeMagic, n); (err == nil) != bytes.Equal(m[:], good[:]) {
			t.Errorf("%x: %v; only %x is right", m, err, good)
		}
		if m.check(givenMagic, n) == nil && m.check(takeMagic, n) == nil {
			t.Errorf("%x is both messages", m)
		}
	})
}

func FuzzOffer(f *testing.F) {
	f.Add("3:1:2:3:4:0102030405060708")
	f.Add("3")
	f.Add("-1:1:2:3:4:0102030405060708")
	f.Add("0:1:2:3:4:0102030405060708")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOffer(s)
		if err != nil {
			return
		}
		if o.fd < 3 {
			t.Errorf("%q offers descriptor %d", s, o.fd)
		}
		if again, err := parseOffer(o.String()); err != nil || again != o {
			t.Errorf("%q became %q: %v", s, o, err)
		}
	})
}

// The layout is docs/formats/exec.md's.
func TestMessageLayout(t *testing.T) {
	m := encode(takeMagic, nonce{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7})
	if want := "PRLYTAKE\x01\x00\x00\x00\x00\x00\x00\x00\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7"; string(m[:]) != want {
		t.Errorf("TAKE is %q, want %q", m[:], want)
	}
	m = encode(givenMagic, nonce{7: 1})
	if want := "PRLYGIVE\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"; string(m[:]) != want {
		t.Errorf("GIVEN is %q, want %q", m[:], want)
	}
	o := offer{fd: 3, version: 1, socket: 10, stdin: 11, stdout: 12, nonce: nonce{7: 0xff}}
	if want := "3:1:10:11:12:00000000000000ff"; o.String() != want {
		t.Errorf("PARLEY_FD is %q, want %q", o, want)
	}
}
