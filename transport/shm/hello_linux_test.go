// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// The bytes of version 3 never change: docs/formats/shm.md shows these.
func TestHelloBytes(t *testing.T) {
	got := hello{version: 3, status: statusSocket, ring: 0x40000, start: 0x0102030405060708, later: laterMay}.append(nil)
	want := "935041524c45591a" + "0300" + "0100" + "00000400" + "0807060504030201" + "01" + "00000000000000"
	if hex.EncodeToString(got) != want {
		t.Errorf("hello is %x, want %s", got, want)
	}
	if len(got) != helloSize || prefixSize != len(Magic)+4 {
		t.Errorf("sizes %d and %d", len(got), prefixSize)
	}
}

func TestSegmentLayout(t *testing.T) {
	for name, at := range map[string][2]int{
		"tail": {offTail, 0}, "files": {offFiles, 8}, "head": {offHead, 128}, "taken": {offTaken, 136},
		"rsleep": {offRSleep, 256}, "wsleep": {offWSleep, 260}, "want": {offWant, 264}, "state": {offState, 268},
		"rknock": {offRKnock, 272}, "wknock": {offWKnock, 276},
	} {
		if at[0] != at[1] {
			t.Errorf("%s lies at %d, docs/formats/shm.md says %d", name, at[0], at[1])
		}
	}
}

func TestHelloRefused(t *testing.T) {
	good := hello{version: Version, ring: MaxRingSize}.append(nil)
	if _, err := parseHello(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"magic":    func(b []byte) []byte { b[0]++; return b },
		"short":    func(b []byte) []byte { return b[:len(b)-1] },
		"long":     func(b []byte) []byte { return append(b, 0) },
		"version":  func(b []byte) []byte { b[8] = 9; return b },
		"reserved": func(b []byte) []byte { b[31] = 1; return b },
		"later":    func(b []byte) []byte { b[24] = 8; return b },
		"uneven":   func(b []byte) []byte { b[12] = 1; return b },
		"huge":     func(b []byte) []byte { b[15] = 0x80; return b },
		"tiny":     func(b []byte) []byte { copy(b[12:16], []byte{0, 0x10, 0, 0}); return b },
	} {
		_, err := parseHello(spoil(bytes.Clone(good)))
		if !errors.Is(err, fault.Protocol) {
			t.Errorf("%s: %v, want a protocol error", name, err)
		}
		if name == "version" && !(strings.Contains(err.Error(), "version 9") && strings.Contains(err.Error(), "speak 3")) {
			t.Errorf("%q does not name both versions", err)
		}
	}
}

func FuzzHello(f *testing.F) {
	f.Add(hello{version: Version}.append(nil))
	f.Add(hello{version: Version, status: statusDenied, ring: MinRingSize, start: 1<<64 - 1}.append(nil))
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		switch {
		case err != nil && !errors.Is(err, fault.Protocol):
			t.Errorf("%x: %v", b, err)
		case err == nil && !bytes.Equal(h.append(nil), b):
			t.Errorf("%x was read as %+v, which is written as %x", b, h, h.append(nil))
		case err == nil && h.ring != 0 && !goodRing(uint64(h.ring)):
			t.Errorf("a ring of %d", h.ring)
		}
	})
}

func FuzzInbox(f *testing.F) {
	f.Add(append([]byte{msgWake}, appendFiles(nil, 0, 7)...), uint8(1))
	f.Add(appendFiles(appendFiles(nil, 1, 5), 1, 4), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		var in inbox
		defer in.close()
		at := min(int(cut), len(b))
		for _, part := range [][]byte{b[:at], b[at:]} {
			if in.parse(part, nil) != nil {
				return
			}
		}
		if len(in.groups) > 0 || len(in.loose) > 0 {
			t.Errorf("%x made groups of descriptors that never came", b)
		}
	})
}
