// SPDX-License-Identifier: Apache-2.0

// Package suite is a benchmark program: its flags, its run, its output.
package suite

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
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

// Suite is what one program measures.
type Suite struct {
	Name    string
	Cells   []party.Cell
	Targets []report.Target
	Drawn   []string // cells that -plot draws

	// About is the figure that a cell is about.
	About func(party.Cell) string

	// Subjects makes the list for one placement, in a directory of its own.
	Subjects func(ctx context.Context, dir string, at party.Placement, only *regexp.Regexp) ([]party.Subject, error)

	// Begin prepares the run, in a directory for all of it. It may be nil.
	Begin func(ctx context.Context, dir string, only *regexp.Regexp) (end func(), err error)
}

// options are the command line.
type options struct {
	plan     party.Plan
	cells    *regexp.Regexp
	subjects *regexp.Regexp
	json     bool
	plot     string
}

// Main is the program, whose processes play another part: see party.
func (s Suite) Main() {
	// Processes die with the thread that started them: this one, which lasts.
	runtime.LockOSThread()
	o, err := parse()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = s.run(ctx, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", s.Name, err)
		os.Exit(1)
	}
}

func parse() (o options, err error) {
	cells := flag.String("cells", "", "measure only cells whose name matches, such as '^awake, trip'")
	subjects := flag.String("subjects", "", "measure only subjects whose name matches")
	flag.IntVar(&o.plan.Rounds, "rounds", 7, "rounds; each measures every subject once")
	flag.DurationVar(&o.plan.Batch, "batch", 60*time.Millisecond, "about how long one measurement lasts")
	flag.BoolVar(&o.json, "json", false, "print JSON instead of tables")
	flag.StringVar(&o.plot, "plot", "", "also draw into this SVG file")
	flag.Func("profile", "a directory for the processor profile of each of our own processes", func(dir string) error {
		return errors.Join(os.MkdirAll(dir, 0o700), os.Setenv(party.ProfileEnv, dir))
	})
	flag.Parse()
	if o.cells, err = regexp.Compile(*cells); err != nil {
		return o, fmt.Errorf("-cells: %w", err)
	}
	if o.subjects, err = regexp.Compile(*subjects); err != nil {
		return o, fmt.Errorf("-subjects: %w", err)
	}
	return o, nil
}

func (s Suite) run(ctx context.Context, o options) error {
	dir, err := scratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.Begin != nil {
		end, err := s.Begin(ctx, dir, o.subjects)
		if err != nil {
			return err
		}
		defer end()
	}
	command := strings.TrimSpace("go run ./" + s.Name + " " + strings.Join(os.Args[1:], " "))
	r := report.Report{Machine: report.Machine(), Command: command, Plan: o.plan}
	all := map[string]party.Samples{}
	for _, at := range []party.Placement{party.Free, party.Apart, party.Together, party.Idle} {
		if err := s.place(ctx, dir, at, o, all); err != nil {
			return err
		}
	}
	for _, c := range s.Cells {
		r.Add(c, all[c.String()], s.About(c))
	}
	for _, t := range s.Targets {
		if o.cells.MatchString(t.Cell.String()) {
			r.Targets = append(r.Targets, t.Judge(all))
		}
	}
	return s.output(&r, o)
}

// place measures the cells of one placement.
func (s Suite) place(ctx context.Context, dir string, at party.Placement, o options, all map[string]party.Samples) error {
	var chosen []party.Cell
	for _, c := range s.Cells {
		if c.At == at && o.cells.MatchString(c.String()) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	own := filepath.Join(dir, strings.Fields(string(at))[0])
	if err := os.Mkdir(own, 0o700); err != nil {
		return err
	}
	list, err := s.Subjects(ctx, own, at, o.subjects)
	if err != nil {
		return err
	}
	samples, err := party.Compare(ctx, list, at, chosen, o.plan)
	for name, s := range samples {
		all[name] = s
	}
	return err
}

func (s Suite) output(r *report.Report, o options) error {
	if o.plot != "" {
		if err := r.Plot(o.plot, "Times the fastest's time (log scale)", s.Drawn); err != nil {
			return err
		}
	}
	var w io.Writer = os.Stdout
	if o.json {
		return json.NewEncoder(w).Encode(r)
	}
	return r.Print(w)
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
