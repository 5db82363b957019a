// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The two messages of the take-over, little-endian (docs/formats/exec.md):
//
//	offset  size  TAKE, child to parent     GIVEN, parent to child
//	     0     8  magic "PRLYTAKE"          magic "PRLYGIVE"
//	     8     2  version                   version
//	    10     6  zero                      zero
//	    16     8  nonce of the offer        the same
const (
	takeMagic  = "PRLYTAKE"
	givenMagic = "PRLYGIVE"

	offVersion  = 8
	offReserved = 10
	offNonce    = 16
	messageSize = 24
)

type message [messageSize]byte

func encode(magic string, n nonce) message {
	var m message
	copy(m[:], magic)
	binary.LittleEndian.PutUint16(m[offVersion:], ProtocolVersion)
	copy(m[offNonce:], n[:])
	return m
}

// check says what is wrong with a message from a peer, which is hostile: any
// difference from the one message that is right is an error.
func (m *message) check(magic string, n nonce) error {
	if string(m[:offVersion]) != magic {
		return errors.New("what came on the offered descriptor is no take-over message")
	}
	if v := binary.LittleEndian.Uint16(m[offVersion:]); v != ProtocolVersion {
		return fmt.Errorf("the peer speaks version %d of the take-over, we speak %d", v, ProtocolVersion)
	}
	if !bytes.Equal(m[offReserved:offNonce], make([]byte, offNonce-offReserved)) {
		return errors.New("the take-over message has reserved bytes set")
	}
	if !bytes.Equal(m[offNonce:], n[:]) {
		return errors.New("the take-over message answers another offer")
	}
	return nil
}
