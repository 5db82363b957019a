// SPDX-License-Identifier: Apache-2.0

package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/parley-ipc/parley/fault"
)

// The wire format, version 1; docs/formats/message.md is normative. All
// numbers are little-endian. Each side sends one preface, then frames:
//
//	preface   0        5    6         8
//	          | 8D PMSG | 0A | version |
//
//	frame     0        4      5       6       8
//	          | length | kind | flags | files | payload, length bytes |
//
//	goodbye's 0        1
//	payload   | reason | why, UTF-8, for people |      or nothing: an orderly end
//
//	memory's  0      8
//	payload   | size | the sender's bytes |            and one file, the memory
const (
	// Version is the wire version that this package speaks.
	Version = 1

	prefaceSize = 8
	headerSize  = 8
	maxGoodbye  = 256 // bytes of a goodbye's payload
	memorySize  = 8   // bytes before the sender's own of a memory's payload
)

// magic starts with a byte that no text protocol, HTTP/2 or TLS starts with.
const magic = "\x8dPMSG\n"

type kind uint8

const (
	kindMessage kind = 1
	kindGoodbye kind = 2
	kindMemory  kind = 3
)

// header is a frame's header. Flags are zero in version 1.
type header struct {
	length uint32
	kind   kind
	files  uint16
}

func appendPreface(b []byte) []byte {
	return binary.LittleEndian.AppendUint16(append(b, magic...), Version)
}

func appendHeader(b []byte, h header) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.length)
	b = append(b, byte(h.kind), 0)
	return binary.LittleEndian.AppendUint16(b, h.files)
}

// checkPreface reads the first prefaceSize bytes of b.
func checkPreface(b []byte) error {
	if string(b[:len(magic)]) != magic {
		return fmt.Errorf("the peer does not speak parley's message protocol: it began with %q", b[:prefaceSize])
	}
	if v := binary.LittleEndian.Uint16(b[len(magic):]); v != Version {
		return fmt.Errorf("the peer speaks version %d of the message protocol, we speak version %d", v, Version)
	}
	return nil
}

// parseHeader reads the first headerSize bytes of b. It checks everything but
// the limits, which are the connection's.
func parseHeader(b []byte) (header, error) {
	h := header{
		length: binary.LittleEndian.Uint32(b),
		kind:   kind(b[4]),
		files:  binary.LittleEndian.Uint16(b[6:]),
	}
	switch {
	case h.kind != kindMessage && h.kind != kindGoodbye && h.kind != kindMemory:
		return h, fmt.Errorf("a frame of unknown kind %d", h.kind)
	case b[5] != 0:
		return h, fmt.Errorf("a frame with unknown flags %#02x", b[5])
	case h.kind == kindGoodbye && (h.length > maxGoodbye || h.files != 0):
		return h, fmt.Errorf("a goodbye of %d bytes with %d files", h.length, h.files)
	case h.kind == kindMemory && (h.length < memorySize || h.files != 1):
		return h, fmt.Errorf("memory in a frame of %d bytes with %d files", h.length, h.files)
	}
	return h, nil
}

// goodbye is why a side ends. Its zero value is an orderly end.
type goodbye struct {
	early  bool // there is a reason: it is not an orderly end
	reason fault.Kind
	why    string
}

func appendGoodbye(b []byte, g goodbye) []byte {
	if !g.early {
		return appendHeader(b, header{kind: kindGoodbye})
	}
	why := g.why
	for len(why) > maxGoodbye-1 || !utf8.ValidString(why) {
		why = why[:min(len(why), maxGoodbye)-1]
	}
	b = appendHeader(b, header{length: uint32(1 + len(why)), kind: kindGoodbye})
	return append(append(b, byte(g.reason)), why...)
}

// parseGoodbye reads a goodbye's payload. A reason that is newer than this
// package reads as fault.Other.
func parseGoodbye(b []byte) (goodbye, error) {
	if len(b) == 0 {
		return goodbye{}, nil
	}
	if !utf8.Valid(b[1:]) {
		return goodbye{}, errors.New("a goodbye whose text is not UTF-8")
	}
	g := goodbye{early: true, reason: fault.Kind(b[0]), why: string(b[1:])}
	if int(g.reason) >= len(fault.Kinds()) {
		g.reason = fault.Other
	}
	return g, nil
}

// Err is the error that the goodbye means to op.
func (g goodbye) err(op, addr string) error {
	why := errors.New("the peer ended the connection")
	if g.why != "" {
		why = fmt.Errorf("the peer ended the connection: %q", g.why)
	}
	return fault.New(g.reason, op, addr, why)
}

// maxLength is the largest message that a header can announce.
const maxLength = min(math.MaxUint32, math.MaxInt)
