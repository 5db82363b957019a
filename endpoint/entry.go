// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// The entry of a listener: one 4096-byte file. Numbers are in the machine's
// byte order, since the file never leaves it. docs/formats/endpoint.md is the
// norm.
//
//	   0  8  magic "parleyEP", written last
//	   8  4  version
//	  12  4  number of counters that the writer knows
//	  16  8  started, nanoseconds of wall time since 1970
//	  24  4  pid, in the owner's PID namespace
//	  28  4  uid, in the owner's user namespace
//	  32 16  boot id
//	  48 16  scheme, padded with zeros
//	  64     64 counters of 8 bytes each
//	 576  4  flags: 1 = the socket was bound by somebody else and stays
//	 580     zeros
//	1024  2  length, then the address (at most 1022 bytes)
//	2048  2  length, then the path of the executable (at most 1022 bytes)
//	3072     zeros
const (
	entrySize    = 4096
	entryMagic   = "parleyEP"
	entryVersion = 1

	offVersion  = 8
	offCount    = 12
	offStarted  = 16
	offPID      = 24
	offUID      = 28
	offBoot     = 32
	offScheme   = 48
	offCounters = 64
	maxCounters = 64
	offFlags    = 576
	offAddress  = 1024
	offExe      = 2048
	maxText     = 1022
)

const flagInherited = 1 << 0

// The bytes that are locked: the first by the owner while it lives, the second
// by whoever is making or removing the entry. Nobody but an owner ever locks
// the first, so that a lock on it proves a life.
const (
	lifeByte   = 0
	changeByte = 1
)

// entry is what the file says, but for the magic.
type entry struct {
	started    time.Time
	pid, uid   uint32
	flags      uint32
	boot       [16]byte
	scheme     Scheme
	address    string
	executable string
	counters   [maxCounters]uint64 // those that the writer does not know are 0
}

// encode returns the file's content with zeros for the magic and the counters.
func (e *entry) encode() []byte {
	b := make([]byte, entrySize)
	ne := binary.NativeEndian
	ne.PutUint32(b[offVersion:], entryVersion)
	ne.PutUint32(b[offCount:], uint32(numCounters))
	ne.PutUint64(b[offStarted:], uint64(e.started.UnixNano()))
	ne.PutUint32(b[offPID:], e.pid)
	ne.PutUint32(b[offUID:], e.uid)
	copy(b[offBoot:], e.boot[:])
	copy(b[offScheme:offCounters], e.scheme)
	ne.PutUint32(b[offFlags:], e.flags)
	putText(b[offAddress:], e.address)
	putText(b[offExe:], e.executable)
	return b
}

var (
	errHalfWritten = errors.New("it is half-written: its maker died")
	errNoEntry     = errors.New("it is no entry of Parley's")
)

// decodeEntry reads an entry that anybody may have written. Its error is
// fault.Protocol, or fault.Unsupported for another version.
func decodeEntry(b []byte) (*entry, error) {
	if len(b) < entrySize || string(b[:len(entryMagic)]) != entryMagic {
		if len(b) < len(entryMagic) || len(bytes.Trim(b[:len(entryMagic)], "\x00")) == 0 {
			return nil, fmt.Errorf("%w: %w", fault.Protocol, errHalfWritten)
		}
		return nil, fmt.Errorf("%w: %w", fault.Protocol, errNoEntry)
	}
	ne := binary.NativeEndian
	if v := ne.Uint32(b[offVersion:]); v != entryVersion {
		return nil, fmt.Errorf("%w: the entry has version %d, this program reads %d", fault.Unsupported, v, entryVersion)
	}
	e := &entry{
		started: time.Unix(0, int64(ne.Uint64(b[offStarted:]))),
		pid:     ne.Uint32(b[offPID:]),
		uid:     ne.Uint32(b[offUID:]),
		flags:   ne.Uint32(b[offFlags:]),
		boot:    [16]byte(b[offBoot:]),
		scheme:  Scheme(bytes.TrimRight(b[offScheme:offCounters], "\x00")),
	}
	for i := range min(ne.Uint32(b[offCount:]), maxCounters) {
		e.counters[i] = ne.Uint64(b[offCounters+8*i:])
	}
	var err1, err2 error
	e.address, err1 = text(b[offAddress:])
	e.executable, err2 = text(b[offExe:])
	return e, errors.Join(err1, err2)
}

// putText stores s, cut to what fits.
func putText(b []byte, s string) {
	n := copy(b[2:2+maxText], s)
	binary.NativeEndian.PutUint16(b, uint16(n))
}

func text(b []byte) (string, error) {
	n := int(binary.NativeEndian.Uint16(b))
	if n > maxText {
		return "", fmt.Errorf("%w: a text of %d bytes does not fit", fault.Protocol, n)
	}
	return string(b[2 : 2+n]), nil
}
