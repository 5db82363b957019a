// SPDX-License-Identifier: Apache-2.0

// Package party measures subjects that consist of several processes: it starts
// them where they are to run, has them measure in turns, and takes medians.
//
// A process says "up" once it can be talked to. From then on it reads commands,
// one a line, says "ready" to each, and ends it with "done" and its figures:
//
//	main                      right, which answers     left, which begins
//	  │ ◄────────── up ──────────┤                        │
//	  │ ◄────────── up ─────────────────────────────────┤
//	  ├─ trip 64 1000 0 ────────►│                        │
//	  │ ◄───────── ready ────────┤                        │
//	  ├─ trip 64 1000 0 ────────────────────────────────►│
//	  │                          │ ◄──── messages ───────►│
//	  │ ◄── done ns=530 p50=520 cpu=531000 ───────────────┤
//	  │ ◄── done cpu=530900 ─────┤                        │
package party

import (
	"fmt"
	"time"
)

// Command is one measurement.
type Command struct {
	Op    string        // what to do; subjects know which they can
	Size  int           // of a message in bytes
	Count int           // of messages
	Pause time.Duration // before each
}

// String is the line that a process reads.
func (c Command) String() string {
	return fmt.Sprintf("%s %d %d %d", c.Op, c.Size, c.Count, c.Pause.Nanoseconds())
}

// Parse reads what String wrote.
func Parse(line string) (Command, error) {
	var c Command
	if _, err := fmt.Sscan(line, &c.Op, &c.Size, &c.Count, &c.Pause); err != nil {
		return c, fmt.Errorf("command %q: %w", line, err)
	}
	return c, nil
}

// Figures are what a process measured, by name: Time and Median are
// nanoseconds a message, CPU is of the process for the whole command.
type Figures map[string]float64

// Names of figures.
const (
	Time   = "ns"     // for each message, mean
	Median = "p50"    // of a round trip
	CPU    = "cpu"    // a message, all processes of the subject, in nanoseconds
	Allocs = "allocs" // a message, of the process that begins
	Memory = "memory" // of one connection, all processes, in bytes
)

// Names of figures of several processes that want the same thing.
const (
	Least       = "least"   // share of the one that had it least often
	Most        = "most"    // share of the one that had it most often
	LongestRun  = "run"     // times in a row that one had it
	WaitP99     = "wait99"  // of the one that fared worst, in nanoseconds
	LongestWait = "longest" // in nanoseconds
)

// Placement says on which processors the processes of a subject run.
type Placement string

// The placements.
const (
	Free     Placement = "awake"         // wherever the kernel puts them
	Apart    Placement = "sleeping"      // pinned to one processor each, with pauses
	Together Placement = "one processor" // all pinned to one
	Idle     Placement = "idle"          // not pinned, seconds before each message
)

// cpus are those that a process may use: the i-th of a subject, the left being 0.
func (p Placement) cpus(i int, all []int) []int {
	switch {
	case p == Together:
		return all[:1]
	case p == Apart && len(all) > 1:
		return all[i%len(all) : i%len(all)+1]
	}
	return all
}
