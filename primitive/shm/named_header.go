// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// The header of a named segment's file, version 1; docs/formats/segment.md is
// normative. It is read and written, never looked at where it is mapped.
// Numbers are in the machine's byte order: the file means nothing elsewhere.
//
//	   0  magic u64 │ version u32 │ header u32 │ size u64 │ created i64
//	  32  boot id, 16 bytes │ kind, 16 bytes, zero-padded
//	  64  pid u32 │ uid u32 │ zeros
//	 128  length u16 │ executable of the maker, cut if need be
//	4096  the bytes
const (
	headerMagic   = "parleySG"
	headerVersion = 1
	headerSize    = 4096

	atHeaderVersion = 8
	atHeaderSize    = 12
	atSize          = 16
	atCreated       = 24
	atBoot          = 32
	atKind          = 48
	atPID           = 64
	atUID           = 68
	atExecutable    = 128

	maxExecutable = headerSize - atExecutable - 2
	maxKind       = 15
	maxNamed      = math.MaxInt - headerSize

	lifeByte   = 0 // held by the segment's one owner, if its kind has one
	changeByte = 1 // held by whoever makes, opens or removes the segment
	useByte    = 2 // held, shared, by each handle
)

// header is what the file says of itself.
type header struct {
	size       uint64
	created    time.Time
	boot       [16]byte
	kind       string
	pid, uid   uint32
	executable string
}

// encode leaves the magic out: it is written when all else is there.
func (h *header) encode() []byte {
	b, n := make([]byte, headerSize), binary.NativeEndian
	n.PutUint32(b[atHeaderVersion:], headerVersion)
	n.PutUint32(b[atHeaderSize:], headerSize)
	n.PutUint64(b[atSize:], h.size)
	n.PutUint64(b[atCreated:], uint64(h.created.UnixNano()))
	copy(b[atBoot:], h.boot[:])
	copy(b[atKind:atKind+maxKind], h.kind)
	n.PutUint32(b[atPID:], h.pid)
	n.PutUint32(b[atUID:], h.uid)
	exe := h.executable[:min(len(h.executable), maxExecutable)]
	n.PutUint16(b[atExecutable:], uint16(len(exe)))
	copy(b[atExecutable+2:], exe)
	return b
}

var errHalfMade = errors.New("its maker has not finished it")

// decode reads b, the beginning of a file of length bytes that anybody may
// have written. A file without a magic is errHalfMade.
func decodeHeader(b []byte, length int64) (*header, error) {
	n := binary.NativeEndian
	if len(bytes.Trim(b[:min(len(b), 8)], "\x00")) == 0 {
		return nil, errHalfMade
	}
	switch {
	case len(b) < headerSize || string(b[:8]) != headerMagic:
		return nil, fmt.Errorf("%w: the file is no segment", fault.Protocol)
	case n.Uint32(b[atHeaderVersion:]) != headerVersion || n.Uint32(b[atHeaderSize:]) != headerSize:
		return nil, fmt.Errorf("%w: its layout has version %d, ours is %d", fault.Protocol, n.Uint32(b[atHeaderVersion:]), headerVersion)
	}
	h := &header{size: n.Uint64(b[atSize:]), created: time.Unix(0, int64(n.Uint64(b[atCreated:]))), pid: n.Uint32(b[atPID:]), uid: n.Uint32(b[atUID:])}
	copy(h.boot[:], b[atBoot:])
	kind, _, _ := bytes.Cut(b[atKind:atKind+maxKind+1], []byte{0})
	h.kind = string(kind)
	h.executable = string(b[atExecutable+2:][:min(int(n.Uint16(b[atExecutable:])), maxExecutable)])
	if h.size == 0 || h.size > maxNamed || length != int64(h.size)+headerSize {
		return nil, fmt.Errorf("%w: it says that it has %d bytes, its file has %d", fault.Protocol, h.size, length-headerSize)
	}
	return h, nil
}

// gone reports that the segment was made before the machine started.
func (h *header) gone(boot [16]byte) bool {
	none := [16]byte{}
	return h.boot != boot && h.boot != none && boot != none
}
