// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
)

// serveEnv holds the directory for sockets in the process that serves.
const serveEnv = "PARLEY_BENCH_SERVE"

// request asks the server for one batch. On the wire it is three numbers of
// eight bytes, big endian.
type request struct {
	mode  mode
	size  int
	count int
}

const requestSize = 24

// mode is what a batch does.
type mode uint64

const (
	roundTrip mode = iota // each message is sent back
	oneWay                // messages flow; one byte confirms them all
	cpuTime               // answers with the server's CPU time in nanoseconds
)

func (m mode) String() string {
	return [...]string{"round trip", "one way", "cpu time"}[m]
}

func (r request) send(c net.Conn) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.mode))
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	b = binary.BigEndian.AppendUint64(b, uint64(r.count))
	_, err := c.Write(b)
	return err
}

func readRequest(c net.Conn) (request, error) {
	var b [requestSize]byte
	_, err := io.ReadFull(c, b[:])
	number := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return request{mode(number(0)), int(number(1)), int(number(2))}, err
}

// serve listens for every subject, tells the addresses on stdout, and serves
// until stdin ends, which the death of the parent brings about too.
func serve(ctx context.Context, dir string) error {
	addresses := map[string]string{}
	for _, s := range subjects {
		ln, address, err := s.listen(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer ln.Close()
		addresses[s.name] = address
		go accept(ln)
	}
	if err := json.NewEncoder(os.Stdout).Encode(addresses); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if err := answer(c); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "connect: server:", err)
			}
		}()
	}
}

// answer serves one connection's batches, one after the other.
func answer(c net.Conn) error {
	buf := make([]byte, 1<<20)
	for {
		r, err := readRequest(c)
		if err != nil {
			return err
		}
		if r.size > len(buf) {
			buf = make([]byte, r.size)
		}
		switch r.mode {
		case roundTrip:
			err = echo(c, buf[:r.size], r.count)
		case oneWay:
			err = sink(c, buf, r.size*r.count)
		default:
			_, err = c.Write(binary.BigEndian.AppendUint64(nil, uint64(ownCPU())))
		}
		if err != nil {
			return err
		}
	}
}

func echo(c net.Conn, buf []byte, count int) error {
	for range count {
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

func sink(c net.Conn, buf []byte, total int) error {
	for total > 0 {
		n, err := c.Read(buf[:min(len(buf), total)])
		if err != nil {
			return err
		}
		total -= n
	}
	_, err := c.Write([]byte{1})
	return err
}

// server is the other process.
type server struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	addresses map[string]string
}

func startServer(dir string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveEnv+"="+dir, "PARLEY_RUNTIME_DIR="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, stdin: stdin}
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&s.addresses); err != nil {
		s.stop()
		return nil, fmt.Errorf("the server process did not start: %w", err)
	}
	return s, nil
}

func (s *server) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}
