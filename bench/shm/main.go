// SPDX-License-Identifier: Apache-2.0

// Command shm measures what crosses shared memory beside what else could carry
// it: C that promises nothing, iceoryx, libzmq, sockets, pipes and NATS. Each
// subject has processes of its own; each round measures every subject, in an
// order that turns; figures are medians over rounds, ratios the medians of the
// rounds' own ratios.
//
//	awake          not pinned, one message after the other
//	sleeping       pinned to a processor each, with pauses: everybody sleeps
//	one processor  both pinned to the same
//	idle           not pinned, one message after seconds of nothing
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/bench/internal/report"
)

// options are the command line.
type options struct {
	plan     party.Plan
	cells    *regexp.Regexp
	subjects *regexp.Regexp
	json     bool
	plot     string
}

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		exit(play(role))
	}
	// Processes die with the thread that started them: this one, which lasts.
	runtime.LockOSThread()
	var o options
	cells := flag.String("cells", "", "measure only cells whose name matches, such as '^awake, trip'")
	subjects := flag.String("subjects", "", "measure only subjects whose name matches")
	flag.IntVar(&o.plan.Rounds, "rounds", 7, "rounds; each measures every subject once")
	flag.DurationVar(&o.plan.Batch, "batch", 40*time.Millisecond, "about how long one measurement lasts")
	flag.BoolVar(&o.json, "json", false, "print JSON instead of tables")
	flag.StringVar(&o.plot, "plot", "", "also draw the round trips into this SVG file")
	flag.Parse()
	var err error
	if o.cells, err = regexp.Compile(*cells); err != nil {
		exit(err)
	}
	if o.subjects, err = regexp.Compile(*subjects); err != nil {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o))
}

func run(ctx context.Context, o options) error {
	dir, err := scratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.subjects.MatchString(iceoryx) {
		defer startRouDi(ctx)()
	}
	r := report.Report{Machine: report.Machine(), Command: "go run ./shm " + strings.Join(os.Args[1:], " "), Plan: o.plan}
	all := map[string]party.Samples{}
	for _, at := range []party.Placement{party.Free, party.Apart, party.Together, party.Idle} {
		var chosen []party.Cell
		for _, c := range cells {
			if c.At == at && o.cells.MatchString(c.String()) {
				chosen = append(chosen, c)
			}
		}
		if len(chosen) == 0 {
			continue
		}
		list, err := subjects(ctx, filepath.Join(dir, strings.Fields(string(at))[0]), at, o.subjects)
		if err != nil {
			return err
		}
		samples, err := party.Compare(ctx, list, at, chosen, o.plan)
		if err != nil {
			return err
		}
		for _, c := range chosen {
			all[c.String()] = samples[c.String()]
			r.Add(c, samples[c.String()], about(c))
		}
	}
	for _, t := range targets {
		if o.cells.MatchString(t.Cell.String()) {
			r.Targets = append(r.Targets, t.Judge(all))
		}
	}
	return output(&r, o)
}

func output(r *report.Report, o options) error {
	if o.plot != "" {
		title := "Round trip: times the fastest's (log scale)"
		drawn := []string{cell(party.Free, "trip", 64).String(), cell(party.Free, "trip", 1<<10).String(), cell(party.Free, "trip", 64<<10).String(), sleeping.String(), cell(party.Together, "trip", 64).String()}
		if err := r.Plot(o.plot, title, drawn); err != nil {
			return err
		}
	}
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	return r.Print(os.Stdout)
}

// scratch is a directory in memory where there is one: what the peers in C
// share must not be written to a disk meanwhile.
func scratch() (string, error) {
	parent := "/dev/shm"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		parent = ""
	}
	return os.MkdirTemp(parent, "parley-bench")
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "shm:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
