// SPDX-License-Identifier: Apache-2.0

package rpcwire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Opening is the payload of an Open:
//
//	method    uvarint  its number on this connection
//	name      bytes    with FlagNamed: "/package.Service/Method"
//	timeout   uvarint  with FlagTimeout: nanoseconds that are left
//	subtype   bytes    with FlagExtra: of the codec; empty: proto
//	encoding  bytes    with FlagExtra: of compressed messages; empty: none
//	metadata  bytes    with FlagExtra: pairs
//	files     uvarint  with FlagFiles: open files that came with this frame
//	message            with FlagMessage: the rest
//
// "bytes" is a uvarint length and as many bytes.
type Opening struct {
	Flags    uint8
	Method   uint32
	Name     []byte
	Timeout  time.Duration
	Subtype  []byte
	Encoding []byte
	Metadata Pairs
	Files    int
	Rest     []byte
}

// ParseOpening reads an Open's payload, into which the result points.
func ParseOpening(flags uint8, p []byte) (Opening, error) {
	c := cursor{b: p}
	o := Opening{Flags: flags}
	method := c.uvarint()
	if method > math.MaxUint32 {
		c.bad = true
	}
	o.Method = uint32(method)
	if flags&FlagNamed != 0 {
		o.Name = c.bytes()
	}
	if flags&FlagTimeout != 0 {
		o.Timeout = time.Duration(min(c.uvarint(), math.MaxInt64))
	}
	if flags&FlagExtra != 0 {
		o.Subtype, o.Encoding = c.bytes(), c.bytes()
		o.Metadata = Pairs(c.bytes())
	}
	if flags&FlagFiles != 0 {
		n := c.uvarint()
		if n == 0 || n > 64 {
			c.bad = true
		}
		o.Files = int(min(n, 64))
	}
	o.Rest = c.b
	if err := c.err("an opening that ends early"); err != nil {
		return o, err
	}
	if err := checkMessage(flags, o.Rest); err != nil {
		return o, err
	}
	return o, o.Metadata.Check()
}

// Append appends the payload but for the message.
func (o *Opening) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(o.Method))
	if o.Flags&FlagNamed != 0 {
		b = appendBytes(b, o.Name)
	}
	if o.Flags&FlagTimeout != 0 {
		b = binary.AppendUvarint(b, uint64(max(o.Timeout, 0)))
	}
	if o.Flags&FlagExtra != 0 {
		b = appendBytes(b, o.Subtype)
		b = appendBytes(b, o.Encoding)
		b = appendBytes(b, o.Metadata)
	}
	if o.Flags&FlagFiles != 0 {
		b = binary.AppendUvarint(b, uint64(o.Files))
	}
	return b
}

// checkMessage checks what the flags say of the message in rest.
func checkMessage(flags uint8, rest []byte) error {
	switch {
	case flags&FlagMessage == 0 && (len(rest) > 0 || flags&(FlagPart|FlagCompressed) != 0):
		return fmt.Errorf("%w: bytes or flags of no message", ErrFrame)
	case flags&FlagPart != 0 && flags&FlagEnd != 0:
		return fmt.Errorf("%w: an end within a message", ErrFrame)
	case len(rest) > MaxPart+4:
		return fmt.Errorf("%w: %d bytes of a message at once", ErrFrame, len(rest))
	}
	return nil
}

// CheckMessage checks a Message frame's payload.
func CheckMessage(flags uint8, p []byte) error {
	if flags&^(FlagPart|FlagEnd|FlagMessage|FlagCompressed) != 0 || flags&(FlagEnd|FlagMessage) == 0 {
		return fmt.Errorf("%w: flags %#x of a message", ErrFrame, flags)
	}
	return checkMessage(flags, p)
}
