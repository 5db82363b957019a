// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// stream is messages over bytes, each with its length before it: the least
// that anybody does over a socket or a pipe. Each message is one write.
type stream struct {
	r     *bufio.Reader
	w     io.Writer
	out   []byte
	bytes []byte
}

const lengthBytes = 4

func newStream(r io.Reader, w io.Writer) *stream {
	return &stream{r: bufio.NewReaderSize(r, 64<<10), w: w, out: make([]byte, 1<<20+lengthBytes), bytes: make([]byte, 1<<20)}
}

func (s *stream) send(size int) error {
	s.out[0], s.out[1], s.out[2], s.out[3] = byte(size), byte(size>>8), byte(size>>16), byte(size>>24)
	_, err := s.w.Write(s.out[:lengthBytes+size])
	return err
}

func (s *stream) sendMany(size, n int) error {
	for range n {
		if err := s.send(size); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) receive() (int, error) {
	var head [lengthBytes]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16 | int(head[3])<<24
	if n > len(s.bytes) {
		return 0, fmt.Errorf("a message of %d bytes", n)
	}
	return io.ReadFull(s.r, s.bytes[:n])
}

func socketRole(ctx context.Context, s party.Side) (party.Runner, error) {
	path := s.Path("raw.sock")
	connect := func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", path) }
	if !s.Left {
		ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
		if err != nil {
			return nil, err
		}
		connect = ln.Accept
	}
	return duplexRunner(s, func() (duplex, error) {
		c, err := connect()
		if err != nil {
			return nil, err
		}
		return newStream(c, c), nil
	}), nil
}

// pipeRole uses two named pipes, opened for both so that nobody waits.
func pipeRole(_ context.Context, s party.Side) (party.Runner, error) {
	var ends [2]*os.File // what the left writes, what the right writes
	for i := range ends {
		path := s.Path(fmt.Sprintf("pipe%d", i))
		if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, err
		}
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		ends[i] = f
	}
	if !s.Left {
		ends[0], ends[1] = ends[1], ends[0]
	}
	return duplexRunner(s, func() (duplex, error) { return newStream(ends[1], ends[0]), nil }), nil
}
