// SPDX-License-Identifier: Apache-2.0

package rpcwire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Magic is how both sides begin.
const Magic = "\x93PARRPC\x1a"

// Version is the version of all that follows the Magic.
const Version = 1

// Status is the acceptor's word in its hello.
type Status uint16

// The statuses.
const (
	StatusOK      Status = iota
	StatusDenied         // policy says no
	StatusVersion        // I speak the version that stands before this
	StatusBroken         // your hello is wrong
)

// Hello is what each side says first, the dialling one before the other:
//
//	offset  field
//	     0  magic    [8]  Magic
//	     8  version  u16
//	    10  status   u16  the acceptor's; 0 from the dialler
//	    12  length   u32  of all that follows, at most MaxHello
//	    16  window   u32  bytes of messages that each stream to the sender may have on the way
//	    20  total    u32  the same for all streams together
//	    24  streams  u32  calls that the sender takes at once
//	    28  header   u32  bytes of metadata that the sender takes
//	    32  agent, authority: bytes, for people and logs
type Hello struct {
	Version   uint16
	Status    Status
	Window    uint32
	Total     uint32
	Streams   uint32
	Header    uint32
	Agent     string
	Authority string
}

// Sizes of a hello.
const (
	HelloPrefix = 16 // what no version may change
	MaxHello    = 4 << 10
)

var (
	errNotUs   = errors.New("the peer does not speak Parley's calls")
	errHello   = errors.New("a hello that is cut, too long or out of range")
	minWindow  = uint32(MaxPart + Overhead)
	maxWindows = uint32(1 << 30)
)

// Append appends h.
func (h Hello) Append(b []byte) []byte {
	at := len(b)
	b = append(b, Magic...)
	b = binary.LittleEndian.AppendUint16(b, Version)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.Status))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, v := range []uint32{h.Window, h.Total, h.Streams, h.Header} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = appendBytes(b, cut(h.Agent))
	b = appendBytes(b, cut(h.Authority))
	binary.LittleEndian.PutUint32(b[at+12:], uint32(len(b)-at-HelloPrefix))
	return b
}

func cut(s string) string { return s[:min(len(s), 256)] }

// ParseHelloPrefix reads the first HelloPrefix bytes, and says how many follow.
func ParseHelloPrefix(b []byte) (version uint16, st Status, rest int, err error) {
	if string(b[:len(Magic)]) != Magic {
		return 0, 0, 0, errNotUs
	}
	version, st = binary.LittleEndian.Uint16(b[8:]), Status(binary.LittleEndian.Uint16(b[10:]))
	n := binary.LittleEndian.Uint32(b[12:])
	if n > MaxHello {
		return version, st, 0, errHello
	}
	return version, st, int(n), nil
}

// ParseHello reads what follows the prefix in a hello of our own version.
func ParseHello(b []byte) (Hello, error) {
	if len(b) < 16 {
		return Hello{}, errHello
	}
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }
	h := Hello{Version: Version, Window: u32(0), Total: u32(4), Streams: u32(8), Header: u32(12)}
	c := cursor{b: b[16:]}
	h.Agent, h.Authority = string(c.bytes()), string(c.bytes())
	if c.bad || h.Window < minWindow || h.Total < minWindow || h.Window > maxWindows || h.Total > maxWindows {
		return Hello{}, fmt.Errorf("%w: %w", ErrFrame, errHello)
	}
	return h, nil
}
