// SPDX-License-Identifier: Apache-2.0

package sockdiag

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// answer builds what the kernel would say, from the request's own layout.
func answer(seq uint32) []byte {
	b := make([]byte, headerSize+answerSize)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint32(b[8:], seq)
	m := b[headerSize:]
	m[0], m[1] = unix.AF_INET, established
	copy(m[4:], encode(netip.MustParseAddrPort("127.0.0.1:7000"), netip.MustParseAddrPort("127.0.0.2:8000"), 0, seq)[headerSize+8:])
	binary.NativeEndian.PutUint32(m[64:], 1000)
	binary.NativeEndian.PutUint32(m[68:], 77)
	return b
}

func TestDecode(t *testing.T) {
	got, err := decode(answer(5), 5)
	want := socket{local: netip.MustParseAddrPort("127.0.0.1:7000"), remote: netip.MustParseAddrPort("127.0.0.2:8000"), state: established, uid: 1000, inode: 77}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	refused := make([]byte, headerSize+4)
	copy(refused, answer(5)[:headerSize])
	binary.NativeEndian.PutUint32(refused[0:], uint32(len(refused)))
	binary.NativeEndian.PutUint16(refused[4:], unix.NLMSG_ERROR)
	binary.NativeEndian.PutUint32(refused[headerSize:], ^uint32(syscall.ENOENT)+1)
	if _, err := decode(refused, 5); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("errno answer: %v, want ENOENT", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"cut":            func(b []byte) []byte { return b[:len(b)-1] },
		"other sequence": func(b []byte) []byte { b[8]++; return b },
		"short body":     func(b []byte) []byte { binary.NativeEndian.PutUint32(b, headerSize+answerSize-1); return b },
		"tiny length":    func(b []byte) []byte { binary.NativeEndian.PutUint32(b, 3); return b },
		"huge length":    func(b []byte) []byte { binary.NativeEndian.PutUint32(b, 1<<32-1); return b },
		"other family":   func(b []byte) []byte { b[headerSize] = unix.AF_UNIX; return b },
		"other type":     func(b []byte) []byte { b[4]++; return b },
	} {
		if s, err := decode(spoil(answer(5)), 5); err == nil {
			t.Errorf("%s: decoded to %+v", name, s)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(answer(5))
	f.Add(answer(5)[:headerSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b, 5)
		if err == nil && (len(b) < headerSize+answerSize || !s.local.IsValid() || !s.remote.IsValid()) {
			t.Errorf("%x decoded to %+v", b, s)
		}
	})
}
