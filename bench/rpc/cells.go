// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// Operations.
const (
	opUnary   = "unary"      // one call after the other, the answer as large
	opCallers = "64-callers" // on one connection, the time between answers
	opStream  = "stream"     // messages from the server
	opIdle    = "connection" // what an idle one costs
)

func cell(at party.Placement, op string, size int) party.Cell {
	return party.Cell{At: at, Command: party.Command{Op: op, Size: size}}
}

var (
	sleeping = party.Cell{At: party.Apart, Command: party.Command{Op: opUnary, Size: 64, Pause: time.Millisecond}}
	resting  = party.Cell{At: party.Free, Command: party.Command{Op: opIdle, Size: 64, Count: 200}, Rounds: 2}
)

// cells are what is measured.
var cells = []party.Cell{
	cell(party.Free, opUnary, 64),
	cell(party.Free, opUnary, 64<<10),
	cell(party.Free, opUnary, 1<<20),
	cell(party.Free, opCallers, 64),
	cell(party.Free, opStream, 1<<10),
	resting,
	sleeping,
	cell(party.Together, opUnary, 64),
}

// about is the figure that the cell is about.
func about(c party.Cell) string {
	switch c.Op {
	case opUnary:
		return party.Median
	case opIdle:
		return party.Memory
	}
	return party.Time
}
