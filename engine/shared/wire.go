// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fdpass"
	"github.com/parley-ipc/parley/topic"
)

// What a subscriber and a publisher say to each other, in the machine's byte
// order; docs/formats/topic.md is the norm:
//
//	subscriber                       publisher
//	hello ─────────────────────────▶
//	      ◀───────────────────────── answer, with the segment
//	magic, with the control page ──▶
//	      ◀───────────────────────── answer
//	wake  ◀────────────────────────▶ wake, dropped
const (
	magic       = 0x315459454c524150 // "PARLEYT1"
	wireVersion = 1

	helloSize  = 96
	answerSize = 32

	msgWake    = 1
	msgDropped = 2
)

// hello is a subscriber's first message.
//
//	offset  field
//	     0  magic     u64
//	     8  version   u32
//	    12  policy    u32
//	    16  patience  i64  nanoseconds
//	    24  length    u8   of the name
//	    25  name           padded with zeros to 88
//	    88  zero
type hello struct {
	policy   topic.Policy
	patience time.Duration
	name     string
}

func (h hello) encode() []byte {
	b := make([]byte, helloSize)
	ne := binary.NativeEndian
	ne.PutUint64(b, magic)
	ne.PutUint32(b[8:], wireVersion)
	ne.PutUint32(b[12:], uint32(h.policy))
	ne.PutUint64(b[16:], uint64(h.patience))
	b[24] = byte(copy(b[25:88], h.name))
	return b
}

func decodeHello(b []byte) (hello, error) {
	ne := binary.NativeEndian
	policy, patience, n := ne.Uint32(b[12:]), int64(ne.Uint64(b[16:])), int(b[24])
	switch {
	case ne.Uint64(b) != magic:
		return hello{}, errNotOurs
	case ne.Uint32(b[8:]) != wireVersion:
		return hello{}, fault.New(fault.Unsupported, "subscribe", "", fmt.Errorf("the subscriber speaks version %d, we speak %d", ne.Uint32(b[8:]), wireVersion))
	case policy > uint32(topic.Reliable) || patience < 0 || n > topic.MaxName:
		return hello{}, fault.New(fault.Protocol, "subscribe", "", fmt.Errorf("policy %d, patience %d, a name of %d bytes", policy, patience, n))
	}
	return hello{topic.Policy(policy), time.Duration(patience), printable(string(b[25 : 25+n]))}, nil
}

var errNotOurs = fault.New(fault.Protocol, "subscribe", "", errors.New("the other side does not speak the protocol of topics"))

// printable keeps a peer's text from writing to our terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// answer is what a publisher says.
//
//	offset  field
//	     0  magic     u64
//	     8  version   u32
//	    12  status    u32  0, or the number of the kind of failure
//	    16  ring      u64  size of the segment's ring
//	    24  patience  i64  granted, nanoseconds
type answer struct {
	status   fault.Kind
	ring     uint64
	patience time.Duration
}

func (a answer) encode() []byte {
	b := make([]byte, answerSize)
	ne := binary.NativeEndian
	ne.PutUint64(b, magic)
	ne.PutUint32(b[8:], wireVersion)
	ne.PutUint32(b[12:], uint32(a.status))
	ne.PutUint64(b[16:], a.ring)
	ne.PutUint64(b[24:], uint64(a.patience))
	return b
}

func decodeAnswer(b []byte) (answer, error) {
	ne := binary.NativeEndian
	status := ne.Uint32(b[12:])
	switch {
	case ne.Uint64(b) != magic:
		return answer{}, errNotOurs
	case ne.Uint32(b[8:]) != wireVersion:
		return answer{}, fault.New(fault.Unsupported, "subscribe", "", fmt.Errorf("the publisher speaks version %d, we speak %d", ne.Uint32(b[8:]), wireVersion))
	}
	return answer{fault.Kind(min(status, 255)), ne.Uint64(b[16:]), time.Duration(ne.Uint64(b[24:]))}, nil
}

func putMagic(b []byte) { binary.NativeEndian.PutUint64(b, magic) }

// receive reads exactly len(b) bytes, and the files that come with them.
func receive(sock *net.UnixConn, b []byte) (files []*os.File, err error) {
	for n := 0; n < len(b); {
		m, more, err := fdpass.Read(sock, b[n:])
		files = append(files, more...)
		if errors.Is(err, io.EOF) {
			err = fault.New(fault.PeerDied, "shake hands", "", io.ErrUnexpectedEOF)
		}
		if err == nil && len(files) > 1 {
			err = errFiles(len(files), 1)
		}
		if err != nil {
			closeFiles(files)
			return nil, err
		}
		n += m
	}
	return files, nil
}

// receiveWith is receive where exactly so many files have to come.
func receiveWith(sock *net.UnixConn, b []byte, want int) ([]*os.File, error) {
	files, err := receive(sock, b)
	if err == nil && len(files) != want {
		closeFiles(files)
		return nil, errFiles(len(files), want)
	}
	return files, err
}

func errFiles(got, want int) error {
	return fault.New(fault.Protocol, "shake hands", "", fmt.Errorf("%d files came instead of %d", got, want))
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
