// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

// Magic is how both sides begin: whoever accepts several protocols on one
// socket knows this one by it.
const Magic = "\x93PARLEY\x1a"

// Version is the version of the handshake, the segments and the messages.
const Version = 3

// A hello is what each side says first, with its segment attached:
//
//	offset  field         client's hello            server's answer
//	     0  magic    [8]  Magic
//	     8  version  u16  Version                   Version
//	    10  status   u16  0                         one of the statuses
//	    12  ring     u32  size of the sender's ring; 0: none, no segment comes
//	    16  start    u64  position of the first byte in the sender's ring
//	    24  later     u8  laterMay, laterNone       laterMay, laterSoon
//	    25  reserved [7]  zero
//
// Then the client says in one byte whether it could attach the server's
// segment: confirmRings or confirmSocket.
const (
	helloSize  = 32
	prefixSize = 12 // the part that no version may change: magic, version, status

	confirmRings  = 'R'
	confirmSocket = 'S'
)

// status is the server's answer.
type status uint16

const (
	statusRings   status = iota // my segment is attached: use the rings
	statusSocket                // one of us has no memory for rings: use the socket
	statusDenied                // policy says no
	statusVersion               // I speak the version that stands before this
	statusBroken                // your hello or your segment is wrong
)

type hello struct {
	version uint16
	status  status
	ring    uint32
	start   uint64
	later   uint8
}

func (h hello) append(b []byte) []byte {
	b = append(b, Magic...)
	b = binary.LittleEndian.AppendUint16(b, h.version)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.status))
	b = binary.LittleEndian.AppendUint32(b, h.ring)
	b = binary.LittleEndian.AppendUint64(b, h.start)
	return append(b, h.later, 0, 0, 0, 0, 0, 0, 0)
}

var (
	errNotUs    = errors.New("the peer does not speak the shared-memory handshake")
	errReserved = errors.New("the hello has bits that this version does not know")
)

// parsePrefix reads the part that every version has.
func parsePrefix(b []byte) (version uint16, st status, err error) {
	if len(b) < prefixSize || string(b[:8]) != Magic {
		return 0, 0, fault.New(fault.Protocol, "handshake", "", errNotUs)
	}
	return binary.LittleEndian.Uint16(b[8:]), status(binary.LittleEndian.Uint16(b[10:])), nil
}

// parseHello reads a hello of our own version. A ring size that is not 0 is
// one that we can map.
func parseHello(b []byte) (hello, error) {
	version, st, err := parsePrefix(b)
	if err != nil {
		return hello{}, err
	}
	if version != Version {
		return hello{}, versionError(version)
	}
	if len(b) != helloSize || binary.LittleEndian.Uint64(b[24:]) > laterMay|laterSoon|laterNone {
		return hello{}, fault.New(fault.Protocol, "handshake", "", errReserved)
	}
	h := hello{version: version, status: st, ring: binary.LittleEndian.Uint32(b[12:]), start: binary.LittleEndian.Uint64(b[16:]), later: b[24]}
	if h.ring != 0 && !goodRing(uint64(h.ring)) {
		return hello{}, fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the peer's ring would have %d bytes", h.ring))
	}
	return h, nil
}

// versionMismatch is the peer's version, which is not ours.
type versionMismatch uint16

func (v versionMismatch) Error() string {
	return fmt.Sprintf("the peer speaks version %d of the shared-memory handshake, we speak %d", uint16(v), Version)
}

func versionError(theirs uint16) error {
	return fault.New(fault.Protocol, "handshake", "", versionMismatch(theirs)).
		WithHint("update the older of the two programs")
}

// answerError is what the server's status means to the client.
func answerError(st status, version uint16) error {
	switch st {
	case statusRings, statusSocket:
		return nil
	case statusDenied:
		return fault.New(fault.Denied, "handshake", "", nil).WithHint("the listener's policy does not let us in")
	case statusVersion:
		return versionError(version)
	case statusBroken:
		return fault.New(fault.Protocol, "handshake", "", errors.New("the peer found our hello or our segment wrong"))
	}
	return fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the peer answered with the unknown status %d", st))
}

// offerError is what is wrong with a client's status: it has no answer to give.
func offerError(st status, version uint16) error {
	if st == 0 || version != Version {
		return nil
	}
	return fault.New(fault.Protocol, "handshake", "", fmt.Errorf("the client began with the status %d", st))
}
