// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/parley-ipc/parley/bench/internal/native"
	"github.com/parley-ipc/parley/bench/internal/natsd"
	"github.com/parley-ipc/parley/bench/internal/party"
)

// sources are the peers in C and C++.
//
//go:embed native
var sources embed.FS

// readers is how many subscribers a broadcast has.
const readers = 4

// able says which operations a subject can, and where.
type able struct {
	ops []string
	at  []party.Placement // default: everywhere
	max int               // bytes; default: any
}

func (a able) can(c party.Command, at party.Placement) bool {
	return slices.Contains(a.ops, c.Op) && (len(a.at) == 0 || slices.Contains(a.at, at)) && (a.max == 0 || c.Size <= a.max)
}

// subjects makes the list for one placement, in dir. What is not installed is
// left out, with a word on stderr.
func subjects(ctx context.Context, dir string, at party.Placement, only *regexp.Regexp) ([]party.Subject, error) {
	list := slices.Concat(limits(ctx, dir), installed(ctx, dir, at), ours(dir))
	return slices.DeleteFunc(list, func(s party.Subject) bool { return !only.MatchString(s.Name) }), nil
}

// limits are the peers of our own making in C.
func limits(ctx context.Context, dir string) []party.Subject {
	program, err := native.Peer{Sources: sources, Source: "native/memory.c", Compiler: "gcc"}.Build(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "no limits in C:", err)
		return nil
	}
	var list []party.Subject
	add := func(name, kind string, a able) {
		file := filepath.Join(dir, kind)
		list = append(list, party.Subject{Name: name, Can: a.can, Specs: []party.Spec{
			{Argv: []string{program, kind, "right", file}},
			{Argv: []string{program, kind, "left", file}},
		}})
	}
	add(slot, "slot", able{ops: []string{opTrip}, at: []party.Placement{party.Free}})
	add(ring, "ring", able{ops: []string{opFlow}, at: []party.Placement{party.Free}})
	add("C futex pair", "futex", able{ops: []string{opTrip}})
	return list
}

// installed are systems that Debian packages.
func installed(ctx context.Context, dir string, at party.Placement) []party.Subject {
	var list []party.Subject
	if program, err := (native.Peer{Sources: sources, Source: "native/zmq.c", Compiler: "gcc", Link: []string{"-lzmq"}}).Build(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, "libzmq is left out (libzmq3-dev):", err)
	} else {
		address := "ipc://" + filepath.Join(dir, "zmq")
		list = append(list, party.Subject{Name: "libzmq", Can: able{ops: []string{opTrip, opFlow}}.can, Specs: []party.Spec{
			{Argv: []string{program, "right", address}},
			{Argv: []string{program, "left", address}},
		}})
	}
	program, err := native.Peer{Sources: sources, Source: "native/iceoryx.cpp", Compiler: "g++", Flags: append(native.Include("/usr/include/iceoryx/v*"), "-std=c++17"),
		Link: []string{"-liceoryx_posh", "-liceoryx_hoofs", "-liceoryx_platform", "-lpthread"}}.Build(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "iceoryx is left out (iceoryx, libiceoryx-posh-dev):", err)
		return list
	}
	return append(list, iceoryxSubject(program, at, 1, able{ops: []string{opTrip, opFlow, opLoan}}),
		iceoryxSubject(program, at, readers, able{ops: []string{opPublish}}))
}

// iceoryxSubject polls where everybody is awake, and sleeps elsewhere.
func iceoryxSubject(program string, at party.Placement, n int, a able) party.Subject {
	sleeps := "1"
	if at == party.Free {
		sleeps = "0"
	}
	name := fmt.Sprintf("parley-bench-%d-%d-", os.Getpid(), n)
	s := party.Subject{Name: iceoryx, Can: a.can}
	for i := range n {
		s.Specs = append(s.Specs, party.Spec{Argv: []string{program, "right", name, strconv.Itoa(i), sleeps, strconv.Itoa(n)}})
	}
	s.Specs = append(s.Specs, party.Spec{Argv: []string{program, "left", name, "0", sleeps, strconv.Itoa(n)}})
	return s
}

// startRouDi starts iceoryx's daemon, which is one for the machine; without it
// there is nothing to start.
func startRouDi(ctx context.Context) (stop func()) {
	roudi, err := exec.LookPath("iox-roudi")
	if err == nil {
		stop, err = party.StartDaemon(ctx, party.Spec{Argv: []string{roudi, "-l", "off"}, Up: "ready for clients", Quiet: true})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "iceoryx has no daemon (iox-roudi):", err)
		return func() {}
	}
	return stop
}

// ours run in processes of this program.
func ours(dir string) []party.Subject {
	pair := func(name string, a able) party.Subject {
		return party.Subject{Name: name, Can: a.can, Specs: party.Pair(name, dir, 1)}
	}
	many := func(name string, a able) party.Subject {
		return party.Subject{Name: name, Can: a.can, Specs: party.Pair(name, dir, readers)}
	}
	return []party.Subject{
		pair(goFutex, able{ops: []string{opTrip}}),
		pair(netUnix, able{ops: []string{opTrip, opFlow}}),
		pair("Go os, pipes", able{ops: []string{opTrip, opFlow}}),
		natsd.Beside(pair(coreNATS, able{ops: []string{opTrip, opFlow}, max: 64 << 10}), dir),
		natsd.Beside(many(coreNATS, able{ops: []string{opPublish}}), dir),
		pair("Parley message, unix", able{ops: []string{opTrip, opFlow, opMemory}}),
		pair(parleyShm, able{ops: []string{opTrip, opFlow, opMemory, opTouch, opSeal}}),
		pair(parleyMany, able{ops: []string{opFlow}, max: 1 << 10}),
		many(parleyCast, able{ops: []string{opPublish}}),
		many(castMany, able{ops: []string{opPublish}}),
		many(topicName, able{ops: []string{opPublish}}),
		many(topicMany, able{ops: []string{opPublish}}),
		pair(parleyLoan, able{ops: []string{opLoan}}),
		pair(parleyFrames, able{ops: []string{opLoan}}),
	}
}
