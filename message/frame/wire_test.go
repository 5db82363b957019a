// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// TestBytesV1 pins docs/formats/frame.md.
func TestBytesV1(t *testing.T) {
	for _, row := range []struct {
		got  []byte
		want string
	}{
		{lend{opFirst, 0x04030201, 0x0807060504030201, []byte("hi")}.encode(), "01010000" + "01020304" + "0102030405060708" + "6869"},
		{lend{opAgain, 7, 0, nil}.encode(), "02010000" + "07000000" + "0000000000000000"},
		{encodeRelease(0x04030201), "03010000" + "01020304"},
	} {
		if got := hex.EncodeToString(row.got); got != row.want {
			t.Errorf("%s, want %s", got, row.want)
		}
	}
	if MaxNote != 256 || MaxFrames != 4096 {
		t.Error("the limits of docs/formats/frame.md changed")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(lend{opFirst, 1, 2, []byte("note")}.encode())
	f.Add(encodeRelease(9))
	f.Add([]byte{opAgain, 2, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLend(b)
		if err == nil && !bytes.Equal(l.encode(), b) || err != nil && !errors.Is(err, fault.Protocol) {
			t.Errorf("%x: %+v, %v", b, l, err)
		}
		n, err := decodeRelease(b)
		if err == nil && !bytes.Equal(encodeRelease(n), b) || err != nil && !errors.Is(err, fault.Protocol) {
			t.Errorf("%x: %d, %v", b, n, err)
		}
	})
}

// TestReleaseBeforeItIsSent: a receiver cannot make room for more than it
// reads by releasing what is still queued.
func TestReleaseBeforeItIsSent(t *testing.T) {
	s := &slot{number: 5, holders: 2}
	h := &hold{slot: s}
	l := &Link{pool: &Pool{}, less: make(chan struct{}, 1), held: map[uint32]*hold{5: h}}
	if err := l.release(5); !errors.Is(err, fault.Protocol) || s.holders != 2 || len(l.held) != 1 {
		t.Fatalf("%v, %d holders, %d held", err, s.holders, len(l.held))
	}
	h.begun = true
	if err := l.release(5); err != nil || s.holders != 1 || len(l.held) != 0 {
		t.Fatalf("%v, %d holders, %d held", err, s.holders, len(l.held))
	}
}
