// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/transport"
)

// question is the first byte of a connection: what its dialler wants.
type question byte

const (
	whoami   question = 'w' // who am I to you?
	exchange question = 'x' // bytes both ways, with checksums
	passing  question = 'f' // an open file each way
	timing   question = 'm' // measure.Serve
)

// Answer serves one connection; closing it is the caller's.
func Answer(conn transport.Conn) error {
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return err
	}
	switch question(first[0]) {
	case whoami:
		return tellWho(conn)
	case exchange:
		return answerExchange(conn)
	case passing:
		return answerFile(conn)
	case timing:
		return measure.Serve(conn)
	}
	return fault.New(fault.Protocol, "answer", "", fmt.Errorf("nobody knows the question %q", first[0]))
}

func ask(conn transport.Conn, q question) error {
	_, err := conn.Write([]byte{byte(q)})
	return err
}

// Measure begins a measurement on conn.
func Measure(conn transport.Conn) (*measure.Client, error) {
	if err := ask(conn, timing); err != nil {
		return nil, err
	}
	return measure.NewClient(conn), nil
}

// Seen is who a side takes the other one for.
type Seen struct {
	Who    string `json:"who"`
	Method string `json:"method"`
}

func (s Seen) String() string { return s.Who + " (" + s.Method + ")" }

// See is who we take the peer of conn for.
func See(conn transport.Conn) Seen {
	id := conn.Peer()
	return Seen{id.String(), string(id.Method)}
}

func tellWho(conn transport.Conn) error {
	if err := json.NewEncoder(conn).Encode(See(conn)); err != nil {
		return err
	}
	return conn.CloseWrite()
}

// AskWho is who the peer takes us for.
func AskWho(conn transport.Conn) (Seen, error) {
	var s Seen
	if err := ask(conn, whoami); err != nil {
		return s, err
	}
	return s, json.NewDecoder(io.LimitReader(conn, 64<<10)).Decode(&s)
}
