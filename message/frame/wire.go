// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// The messages of docs/formats/frame.md, little-endian:
//
//	owner's      0    1         2   4        8        16
//	             | op | version | 0 | number | length | note |
//	               u8   u8            u32      u64      0 to 256 bytes
//
//	receiver's   0    1         2   4        8
//	             | op | version | 0 | number |
const (
	opFirst   = 1 // with the memory, which the receiver keeps
	opAgain   = 2
	opRelease = 3

	wireVersion = 1
	releaseSize = 8
	lendSize    = 16
)

// MaxNote is the largest note in bytes that travels with a frame.
const MaxNote = 256

// lend is an owner's message.
type lend struct {
	op     byte
	number uint32
	length uint64
	note   []byte
}

func (l lend) encode() []byte {
	b := append(make([]byte, 0, lendSize+len(l.note)), l.op, wireVersion, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, l.number)
	b = binary.LittleEndian.AppendUint64(b, l.length)
	return append(b, l.note...)
}

// decodeLend copies nothing: the note is b's.
func decodeLend(b []byte) (lend, error) {
	if len(b) < lendSize || len(b) > lendSize+MaxNote || b[0] != opFirst && b[0] != opAgain || b[2]|b[3] != 0 {
		return lend{}, broken("no frame: %d bytes, beginning % x", len(b), b[:min(len(b), 4)])
	}
	if b[1] != wireVersion {
		return lend{}, broken("version %d of frames, ours is %d", b[1], wireVersion)
	}
	return lend{b[0], binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint64(b[8:]), b[lendSize:]}, nil
}

func encodeRelease(number uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{opRelease, wireVersion, 0, 0}, number)
}

func decodeRelease(b []byte) (number uint32, err error) {
	if len(b) != releaseSize || b[0] != opRelease || b[2]|b[3] != 0 {
		return 0, broken("no release: %d bytes, beginning % x", len(b), b[:min(len(b), 4)])
	}
	if b[1] != wireVersion {
		return 0, broken("version %d of frames, ours is %d", b[1], wireVersion)
	}
	return binary.LittleEndian.Uint32(b[4:]), nil
}

func broken(format string, args ...any) error {
	return fault.New(fault.Protocol, "lend frames", "", fmt.Errorf(format, args...))
}
