// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
)

// sinkSize is how much of a flow is read at once.
const sinkSize = 1 << 20

// Serve does what the Client on the other side of c asks for, until the client
// ends its direction, which is no error. It does not close c.
func Serve(c net.Conn) error {
	var buf []byte
	for {
		r, err := readRequest(c)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if need := max(r.size, sinkSize); len(buf) < need {
			buf = make([]byte, need)
		}
		switch r.mode {
		case trips:
			err = echo(c, buf[:r.size])
		case flow:
			err = sink(c, buf, int64(r.size)*int64(r.count))
		case cpuTime:
			_, err = c.Write(encodeUsage(ownUsage()))
		}
		if err != nil {
			return err
		}
	}
}

func echo(c net.Conn, buf []byte) error {
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
		last := buf[0] == lastTrip
		if _, err := c.Write(buf); err != nil || last {
			return err
		}
	}
}

func sink(c net.Conn, buf []byte, total int64) error {
	for total > 0 {
		n, err := c.Read(buf[:min(int64(len(buf)), total)])
		if total -= int64(n); err != nil && total > 0 {
			return err
		}
	}
	_, err := c.Write(buf[:1])
	return err
}

// usage is the processor time that a process has used.
type usage struct{ pid, cpu uint64 } // cpu in nanoseconds

const usageSize = 16

func ownUsage() usage { return usage{uint64(os.Getpid()), uint64(ownCPU())} }

func encodeUsage(u usage) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, usageSize), u.pid)
	return binary.BigEndian.AppendUint64(b, u.cpu)
}

func readUsage(c io.Reader) (usage, error) {
	var b [usageSize]byte
	_, err := io.ReadFull(c, b[:])
	return usage{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}, err
}
