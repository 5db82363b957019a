// SPDX-License-Identifier: Apache-2.0

// Command locks measures how two processes take turns: procsync's Mutex beside
// C's robust process-shared mutex, POSIX semaphores, flock and gofrs/flock.
//
//	alone      locked and unlocked with nobody else about
//	contended  two processes, for each time that either had it
//	wake       from the unlock until who slept for it has it
package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/parley-ipc/parley/bench/internal/native"
	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/bench/internal/report"
	"github.com/parley-ipc/parley/bench/internal/suite"
)

// Operations.
const (
	opAlone     = "alone"
	opContended = "contended"
	opWake      = "wake"
	opFair2     = "fair-of-2"
	opFair4     = "fair-of-4"
)

// Names of locks.
const (
	robust    = "C robust mutex"
	semaphore = "C POSIX semaphore"
	flock     = "C flock"
	goFlock   = "Go flock"
	gofrs     = "gofrs/flock"
	procMutex = "Parley procsync.Mutex"
	procSem   = "Parley procsync.Semaphore"
	procRead  = "Parley procsync.RWMutex, to read"
)

//go:embed native
var sources embed.FS

var (
	alone     = party.Cell{At: party.Free, Command: party.Command{Op: opAlone}}
	contended = party.Cell{At: party.Free, Command: party.Command{Op: opContended}}
	waking    = party.Cell{At: party.Free, Command: party.Command{Op: opWake, Count: 30}}
	fair2     = party.Cell{At: party.Free, Command: party.Command{Op: opFair2, Count: 1, Pause: time.Second}, Rounds: 3}
	fair4     = party.Cell{At: party.Free, Command: party.Command{Op: opFair4, Count: 1, Pause: time.Second}, Rounds: 3}
)

var targets = []report.Target{
	{Says: "uncontended", Cell: alone, Metric: party.Time, Subject: procMutex, Against: []string{robust}, AtMost: 1.5},
	{Says: "contended by two processes", Cell: contended, Metric: party.Time, Subject: procMutex, Against: []string{robust}, AtMost: 1.5},
	{Says: "uncontended, flock", Cell: alone, Metric: party.Time, Subject: procMutex, Against: []string{flock, goFlock}, Faster: 10},
}

func main() {
	party.Play(map[string]party.Role{goFlock: role(openFlock), gofrs: role(openGofrs), procMutex: role(openMutex), procSem: role(openSemaphore), procRead: role(openReader)})
	suite.Suite{
		Name: "locks", Cells: []party.Cell{alone, contended, waking, fair2, fair4}, Targets: targets, Subjects: subjects,
		Drawn: []string{alone.String(), contended.String(), waking.String()},
		About: func(party.Cell) string { return party.Time },
	}.Main()
}

func subjects(ctx context.Context, dir string, _ party.Placement, only *regexp.Regexp) ([]party.Subject, error) {
	var list []party.Subject
	program, err := (native.Peer{Sources: sources, Source: "native/locks.c", Compiler: "gcc", Link: []string{"-lpthread"}}).Build(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "no locks in C:", err)
	}
	for _, n := range []int{2, 4} { // the same subjects, as two and as four processes
		can := func(c party.Command, _ party.Placement) bool { return (c.Op == opFair4) == (n == 4) }
		own := filepath.Join(dir, strconv.Itoa(n))
		if err := os.Mkdir(own, 0o700); err != nil {
			return nil, err
		}
		for name, kind := range map[string]string{robust: "robust", semaphore: "semaphore", flock: "flock"} {
			if program != "" {
				list = append(list, party.Subject{Name: name, Can: can, Specs: inC(program, kind, filepath.Join(own, kind), n)})
			}
		}
		for _, name := range []string{goFlock, gofrs, procMutex, procSem} {
			list = append(list, party.Subject{Name: name, Can: can, Specs: party.Pair(name, own, n-1)})
		}
		readers := func(c party.Command, _ party.Placement) bool { return c.Op == opAlone && n == 2 } // they keep nobody out
		list = append(list, party.Subject{Name: procRead, Can: readers, Specs: party.Pair(procRead, own, n-1)})
	}
	return slices.DeleteFunc(list, func(s party.Subject) bool { return !only.MatchString(s.Name) }), nil
}

// inC specifies n processes of the program in C; the last one begins.
func inC(program, kind, file string, n int) []party.Spec {
	var specs []party.Spec
	for i := range n {
		side := "right"
		if i == n-1 {
			side = "left"
		}
		specs = append(specs, party.Spec{Argv: []string{program, kind, side, file, file + ".lock", strconv.Itoa(i), strconv.Itoa(n)}})
	}
	return specs
}
