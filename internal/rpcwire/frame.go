// SPDX-License-Identifier: Apache-2.0

package rpcwire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A frame is a head and a payload:
//
//	offset  field
//	     0  length  u32  of the payload, at most MaxPayload
//	     4  kind    u8
//	     5  flags   u8   by kind
//	     6  zero    u16
//	     8  stream  u32  0: the connection itself
const (
	HeadSize = 12

	// MaxPayload is the most that one frame carries: an opening with all its
	// metadata, or a part of a message.
	MaxPayload = 256 << 10

	// MaxPart is the most of a message that one frame carries.
	MaxPart = 128 << 10

	// Overhead is what a frame with a part of a message costs of the windows,
	// beside its bytes: so nothing that must be kept is free.
	Overhead = 32
)

// Kind is a frame's kind.
type Kind uint8

// The kinds. Those that end in "of the peer" may come for a stream that we
// have reset.
const (
	Open    Kind = 1 + iota // caller: begins a call, and may carry its message
	Message                 // either: a part of a message, or the caller's end
	Header                  // callee: header metadata
	Close                   // callee: status and trailer; the stream is over
	Reset                   // caller: cancels; the callee still answers Close
	Window                  // either: u32 more bytes may be sent
	Ping                    // either: 8 bytes to be sent back
	GoAway                  // either: open no more streams
	numKinds
)

// Flags of Open, Message and Close.
const (
	FlagPart       = 1 << 0 // the message goes on in another frame; the first part begins with its size, u32
	FlagEnd        = 1 << 1 // Open, Message: the caller sends no more messages
	FlagMessage    = 1 << 2 // a message, or its part, is the rest of the payload
	FlagCompressed = 1 << 3 // the message is compressed, as the Open's encoding says

	FlagNamed   = 1 << 4 // Open: the method's name is here, and its number is new
	FlagTimeout = 1 << 5 // Open
	FlagExtra   = 1 << 6 // Open: subtype, encoding and metadata
	FlagFiles   = 1 << 7 // Open

	FlagStatus  = 1 << 4 // Close: not OK
	FlagTrailer = 1 << 5 // Close
	FlagHeader  = 1 << 6 // Close: header metadata that no Header brought
	FlagRefused = 1 << 7 // Close: no handler has seen the call, it may be made again

	FlagAck = 1 << 0 // Ping: it is the answer
)

// ErrFrame is what every malformed frame is.
var ErrFrame = errors.New("malformed frame")

// Head is a frame's head.
type Head struct {
	Length uint32
	Kind   Kind
	Flags  uint8
	Stream uint32
}

// AppendHead appends the head h.
func AppendHead(b []byte, h Head) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.Length)
	b = append(b, byte(h.Kind), h.Flags, 0, 0)
	return binary.LittleEndian.AppendUint32(b, h.Stream)
}

// SetLength writes the length into the head that begins at b[0].
func SetLength(b []byte, n int) { binary.LittleEndian.PutUint32(b, uint32(n)) }

// ParseHead reads the head at b[0:HeadSize].
func ParseHead(b []byte) (Head, error) {
	_ = b[HeadSize-1]
	h := Head{
		Length: binary.LittleEndian.Uint32(b),
		Kind:   Kind(b[4]), Flags: b[5],
		Stream: binary.LittleEndian.Uint32(b[8:]),
	}
	switch {
	case h.Length > MaxPayload:
		return h, fmt.Errorf("%w: a payload of %d bytes", ErrFrame, h.Length)
	case h.Kind == 0 || h.Kind >= numKinds:
		return h, fmt.Errorf("%w: kind %d", ErrFrame, h.Kind)
	case b[6]|b[7] != 0:
		return h, fmt.Errorf("%w: reserved bits", ErrFrame)
	}
	return h, nil
}
