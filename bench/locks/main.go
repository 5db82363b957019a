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
)

// Names of locks.
const (
	robust    = "C robust mutex"
	semaphore = "C POSIX semaphore"
	flock     = "C flock"
	goFlock   = "Go flock"
	gofrs     = "gofrs/flock"
	procMutex = "Parley procsync.Mutex"
)

//go:embed native
var sources embed.FS

var (
	alone     = party.Cell{At: party.Free, Command: party.Command{Op: opAlone}}
	contended = party.Cell{At: party.Free, Command: party.Command{Op: opContended}}
	waking    = party.Cell{At: party.Free, Command: party.Command{Op: opWake, Count: 30}}
)

var targets = []report.Target{
	{Says: "uncontended", Cell: alone, Metric: party.Time, Subject: procMutex, Against: []string{robust}, AtMost: 1.5},
	{Says: "contended by two processes", Cell: contended, Metric: party.Time, Subject: procMutex, Against: []string{robust}, AtMost: 1.5},
	{Says: "uncontended, flock", Cell: alone, Metric: party.Time, Subject: procMutex, Against: []string{flock, goFlock}, Faster: 10},
}

func main() {
	party.Play(map[string]party.Role{goFlock: role(openFlock), gofrs: role(openGofrs), procMutex: role(openMutex)})
	suite.Suite{
		Name: "locks", Cells: []party.Cell{alone, contended, waking}, Targets: targets, Subjects: subjects,
		Drawn: []string{alone.String(), contended.String(), waking.String()},
		About: func(party.Cell) string { return party.Time },
	}.Main()
}

func subjects(ctx context.Context, dir string, _ party.Placement, only *regexp.Regexp) ([]party.Subject, error) {
	can := func(party.Command, party.Placement) bool { return true }
	var list []party.Subject
	if program, err := (native.Peer{Sources: sources, Source: "native/locks.c", Compiler: "gcc", Link: []string{"-lpthread"}}).Build(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, "no locks in C:", err)
	} else {
		for name, kind := range map[string]string{robust: "robust", semaphore: "semaphore", flock: "flock"} {
			file := filepath.Join(dir, kind)
			list = append(list, party.Subject{Name: name, Can: can, Specs: []party.Spec{
				{Argv: []string{program, kind, "right", file, file + ".lock"}},
				{Argv: []string{program, kind, "left", file, file + ".lock"}},
			}})
		}
	}
	for _, name := range []string{goFlock, gofrs, procMutex} {
		list = append(list, party.Subject{Name: name, Can: can, Specs: party.Pair(name, dir, 1)})
	}
	return slices.DeleteFunc(list, func(s party.Subject) bool { return !only.MatchString(s.Name) }), nil
}
