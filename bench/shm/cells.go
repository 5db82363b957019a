// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// Operations.
const (
	opTrip    = "trip"    // each message is answered by one as large
	opFlow    = "flow"    // messages one way, a small one confirms them all
	opPublish = "publish" // messages to four, each of whom confirms them all
	opLoan    = "loan"    // round trip in place, one byte touched
	opMemory  = "memory"  // sealed memory handed over, and an answer
	opTouch   = "touch"   // first touch of memory by its owner
	opSeal    = "seal"    // sealing of touched memory
)

func cell(at party.Placement, op string, size int) party.Cell {
	return party.Cell{At: at, Command: party.Command{Op: op, Size: size}}
}

// sleeping is the cell in which both sides sleep before each message.
var sleeping = party.Cell{At: party.Apart, Command: party.Command{Op: opTrip, Size: 64, Pause: time.Millisecond}}

// cells are what is measured.
var cells = []party.Cell{
	cell(party.Free, opTrip, 64),
	cell(party.Free, opTrip, 1<<10),
	cell(party.Free, opTrip, 64<<10),
	cell(party.Free, opTrip, 1<<20),
	cell(party.Free, opFlow, 64),
	cell(party.Free, opFlow, 1<<10),
	cell(party.Free, opFlow, 64<<10),
	cell(party.Free, opPublish, 64),
	cell(party.Free, opPublish, 1<<10),
	cell(party.Free, opLoan, 64),
	cell(party.Free, opLoan, 1<<20),
	cell(party.Free, opMemory, 64<<10),
	cell(party.Free, opMemory, 1<<20),
	cell(party.Free, opMemory, 64<<20),
	{At: party.Free, Command: party.Command{Op: opTouch, Size: 64 << 20, Count: 1}},
	{At: party.Free, Command: party.Command{Op: opSeal, Size: 64 << 20, Count: 1}},
	sleeping,
	cell(party.Together, opTrip, 64),
	cell(party.Together, opTrip, 1<<10),
	{At: party.Idle, Command: party.Command{Op: opTrip, Size: 64, Count: 1, Pause: 50 * time.Millisecond}},
}

// about is the figure that the cell is about.
func about(c party.Cell) string {
	switch c.Op {
	case opTrip, opLoan, opMemory:
		return party.Median
	}
	return party.Time
}
