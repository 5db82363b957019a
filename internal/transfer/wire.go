// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/parley-ipc/parley/fault"
)

// The messages of version 1; docs/formats/transfer.md is normative. The first
// byte says what a message is; numbers are little-endian.
//
//	sender:    hello    | version u16 | "parley-transfer"
//	           offer    | mode u32 | size i64, -1 unknown | name
//	           data     | bytes, at most chunkSize
//	           end      | size i64 | SHA-256, 32 bytes
//	           abandon  | why, for people
//	receiver:  ready    |
//	           done     |
//	           failed   | kind u8 | why, for people
const (
	// Version is the wire version that this package speaks.
	Version = 1

	chunkSize = 512 << 10
	protocol  = "parley-transfer"
	maxWhy    = 1000
)

const (
	tagHello   = 1
	tagOffer   = 2
	tagData    = 3
	tagEnd     = 4
	tagAbandon = 5
	tagReady   = 6
	tagDone    = 7
	tagFailed  = 8
)

// unknownSize is the size of a stream that has not ended.
const unknownSize = -1

// offer announces a file.
type offer struct {
	mode fs.FileMode // permission bits only
	size int64
	name string
}

// digest is what came of a file.
type digest struct {
	size int64
	sum  [sha256.Size]byte
}

func appendHello(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint16(append(b, tagHello), Version), protocol...)
}

func parseHello(p []byte) error {
	if len(p) < 3 || p[0] != tagHello || string(p[3:]) != protocol {
		return errors.New("the peer does not send files: is it `parley send`?")
	}
	if v := binary.LittleEndian.Uint16(p[1:]); v != Version {
		return fmt.Errorf("the peer speaks version %d of the transfer protocol, we speak version %d", v, Version)
	}
	return nil
}

func appendOffer(b []byte, o offer) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, tagOffer), uint32(o.mode.Perm()))
	b = binary.LittleEndian.AppendUint64(b, uint64(o.size))
	return append(b, o.name...)
}

// parseOffer reads an offer and refuses a name that is no plain base name.
func parseOffer(p []byte) (offer, error) {
	if len(p) < 13 || p[0] != tagOffer {
		return offer{}, errors.New("a message that is no offer of a file")
	}
	o := offer{
		mode: fs.FileMode(binary.LittleEndian.Uint32(p[1:])).Perm(),
		size: int64(binary.LittleEndian.Uint64(p[5:])),
		name: string(p[13:]),
	}
	if o.size < unknownSize {
		return offer{}, fmt.Errorf("a file of %d bytes", o.size)
	}
	return o, nil
}

func appendEnd(b []byte, d digest) []byte {
	b = binary.LittleEndian.AppendUint64(append(b, tagEnd), uint64(d.size))
	return append(b, d.sum[:]...)
}

func parseEnd(p []byte) (digest, error) {
	if len(p) != 1+8+sha256.Size || p[0] != tagEnd {
		return digest{}, errors.New("a malformed end of a file")
	}
	d := digest{size: int64(binary.LittleEndian.Uint64(p[1:]))}
	copy(d.sum[:], p[9:])
	return d, nil
}

func appendFailed(b []byte, err error) []byte {
	why := err.Error()
	return append(append(b, tagFailed, byte(fault.KindOf(err))), why[:min(len(why), maxWhy)]...)
}

// parseReply reads an answer of the receiver: its tag, and for a failure what
// it says about the file.
func parseReply(p []byte, name string) (tag byte, failure, err error) {
	switch {
	case len(p) == 1 && (p[0] == tagReady || p[0] == tagDone):
		return p[0], nil, nil
	case len(p) >= 2 && len(p) <= 2+maxWhy && p[0] == tagFailed:
		kind := fault.Kind(p[1])
		if int(kind) >= len(fault.Kinds()) {
			kind = fault.Other
		}
		return tagFailed, fault.New(kind, "send", name, fmt.Errorf("the receiver says %q", p[2:])), nil
	}
	return 0, nil, fault.New(fault.Protocol, "send", name, errors.New("an answer that means nothing: is the peer `parley receive`?"))
}
