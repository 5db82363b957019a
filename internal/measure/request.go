// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parley-ipc/parley/fault"
)

// MaxSize is the largest message, in bytes.
const MaxSize = 64 << 20

// mode is what the serving side does next.
type mode uint64

const (
	trips   mode = 1 + iota // sends each message back, until one begins with lastTrip
	flow                    // takes count messages and confirms them with one byte
	cpuTime                 // tells its process and that one's processor time
)

// The first byte of a message in trips.
const (
	moreTrips byte = iota
	lastTrip
)

// request is what the client wants next. On the wire it is three numbers of
// eight bytes, big endian.
type request struct {
	mode  mode
	size  int // of one message, 1 to MaxSize; 0 for cpuTime
	count int // of messages, for flow
}

const (
	requestSize = 24
	maxBytes    = 1 << 50 // of one flow
)

func (r request) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, requestSize), uint64(r.mode))
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	return binary.BigEndian.AppendUint64(b, uint64(r.count))
}

// readRequest returns io.EOF only where the stream ended before a request.
func readRequest(c io.Reader) (request, error) {
	var b [requestSize]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return request{}, err
	}
	return decode(b)
}

func decode(b [requestSize]byte) (request, error) {
	m, size, count := mode(binary.BigEndian.Uint64(b[:])), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	var err error
	switch {
	case m != trips && m != flow && m != cpuTime:
		err = fmt.Errorf("there is no mode %d", m)
	case m == cpuTime && (size != 0 || count != 0), m == trips && count != 0:
		err = errors.New("a number is set that means nothing")
	case m != cpuTime && (size == 0 || size > MaxSize):
		err = fmt.Errorf("a message of %d bytes: from 1 to %d are possible", size, MaxSize)
	case m == flow && (count == 0 || count > math.MaxInt || count > maxBytes/size):
		err = fmt.Errorf("%d messages of %d bytes", count, size)
	}
	if err != nil {
		return request{}, fault.New(fault.Protocol, "measure", "", err)
	}
	return request{m, int(size), int(count)}, nil
}
