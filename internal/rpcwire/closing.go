// SPDX-License-Identifier: Apache-2.0

package rpcwire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Closing is the payload of a Close:
//
//	header   bytes    with FlagHeader: pairs
//	code     uvarint  with FlagStatus
//	text     bytes    with FlagStatus
//	details  bytes    with FlagStatus: a google.rpc.Status if it has details
//	trailer  bytes    with FlagTrailer: pairs
//	message           with FlagMessage: the rest
type Closing struct {
	Flags   uint8
	Header  Pairs
	Code    uint32
	Text    []byte
	Details []byte
	Trailer Pairs
	Rest    []byte
}

// ParseClosing reads a Close's payload, into which the result points.
func ParseClosing(flags uint8, p []byte) (Closing, error) {
	c := cursor{b: p}
	r := Closing{Flags: flags}
	if flags&FlagHeader != 0 {
		r.Header = Pairs(c.bytes())
	}
	if flags&FlagStatus != 0 {
		code := c.uvarint()
		if code == 0 || code > math.MaxInt32 {
			c.bad = true
		}
		r.Code = uint32(code)
		r.Text, r.Details = c.bytes(), c.bytes()
	}
	if flags&FlagTrailer != 0 {
		r.Trailer = Pairs(c.bytes())
	}
	r.Rest = c.b
	if err := c.err("a closing that ends early"); err != nil {
		return r, err
	}
	if flags&(FlagPart|FlagEnd) != 0 {
		return r, fmt.Errorf("%w: flags %#x of a closing", ErrFrame, flags)
	}
	if err := checkMessage(flags, r.Rest); err != nil {
		return r, err
	}
	if err := r.Header.Check(); err != nil {
		return r, err
	}
	return r, r.Trailer.Check()
}

// Append appends the payload but for the message.
func (r *Closing) Append(b []byte) []byte {
	if r.Flags&FlagHeader != 0 {
		b = appendBytes(b, r.Header)
	}
	if r.Flags&FlagStatus != 0 {
		b = binary.AppendUvarint(b, uint64(r.Code))
		b = appendBytes(b, r.Text)
		b = appendBytes(b, r.Details)
	}
	if r.Flags&FlagTrailer != 0 {
		b = appendBytes(b, r.Trailer)
	}
	return b
}
